/** `mkcomposefs`: the table behind its options, help, man page and completions. */

import { DROP_IN_EXIT_MEANINGS } from "../exit.ts";
import { HELP_OPTION, VERSION_OPTION } from "../command-line/spec.ts";
import type { OptionSpec, ProgramSpec, Section } from "../command-line/spec.ts";

/** The options that say what goes into an image; `composefs mk` has them too. */
export const CONTENT_OPTIONS = {
  digestStore: {
    name: "digest-store",
    value: { label: "PATH", kind: "directory" },
    brief: "Store the content of files as objects in this directory",
    details:
      "Each regular file of more than 64 bytes becomes an object named by its fs-verity digest, by reflink where the file system can, else by copy, with fs-verity enabled where the file system has it. The directory is made when it is missing, and is what `basedir` names when the image is mounted. Without it the image names objects that must exist somewhere else.",
  },
  useEpoch: {
    name: "use-epoch",
    brief: "Set all modification times to 1970-01-01",
  },
  skipDevices: {
    name: "skip-devices",
    brief: "Leave out device nodes",
  },
  skipXattrs: {
    name: "skip-xattrs",
    brief: "Leave out extended attributes",
  },
  userXattrs: {
    name: "user-xattrs",
    brief: "Keep only extended attributes of the namespace user",
  },
  hardlinks: {
    name: "hardlinks",
    brief: "Keep hard links of the source directory",
    details:
      "Without it each name becomes a file of its own, as the C tool has it, so that digests agree with it. Dump files keep their hard links in any case.",
  },
  fromFile: {
    name: "from-file",
    brief: "SOURCE is a dump file, not a directory",
    details: "SOURCE `-` is standard input.",
  },
  minVersion: {
    name: "min-version",
    value: { label: "N", kind: "number" },
    brief: "Use at least this format version (0 unless told)",
  },
  maxVersion: {
    name: "max-version",
    value: { label: "N", kind: "number" },
    brief: "Use at most this format version (1 unless told)",
  },
  threads: {
    name: "threads",
    value: { label: "N", kind: "number" },
    brief: "Read and hash files with this many threads (one for each processor)",
  },
} as const satisfies Record<string, OptionSpec>;

/** What the format versions are, for all pages that mention them. */
export const FORMAT_VERSIONS: Section = {
  title: "Format versions",
  paragraphs: [
    "The same tree in the same format version always gives the same bytes, and so the same digest. The lowest version that can hold the tree is used, from --min-version up to --max-version. When one of the two options is given, the other is 0 unless given too; a --max-version below --min-version counts as equal to it. For digests that stay the same for ever, give both.",
  ],
  terms: [
    ["0", "The first one."],
    ["1", "Can also hold overlayfs whiteouts (character devices 0:0). The default maximum."],
  ],
};

export const MKCOMPOSEFS: ProgramSpec = {
  name: "mkcomposefs",
  manual: 1,
  brief: "make a composefs image",
  description: [
    "Makes a composefs image of the directory SOURCE, or with --from-file of a dump file in the format of composefs-dump(5), and writes it to IMAGE; `-` is standard output.",
    "The image is an EROFS file system that holds names, metadata and the content of files up to 64 bytes. Larger files are named by their fs-verity digest, and found in a directory of objects when the image is mounted.",
    "IMAGE appears under its name when it is complete. If anything fails, nothing is left behind and what was there before stays.",
  ],
  operands: [
    { name: "SOURCE", kind: "file" },
    { name: "IMAGE", kind: "file", optional: true },
  ],
  options: [
    CONTENT_OPTIONS.digestStore,
    CONTENT_OPTIONS.useEpoch,
    CONTENT_OPTIONS.skipDevices,
    CONTENT_OPTIONS.skipXattrs,
    CONTENT_OPTIONS.userXattrs,
    CONTENT_OPTIONS.hardlinks,
    { name: "print-digest", brief: "Print the fs-verity digest of the image" },
    {
      name: "print-digest-only",
      brief: "Print the fs-verity digest, and write no image (IMAGE is left out)",
    },
    CONTENT_OPTIONS.fromFile,
    CONTENT_OPTIONS.minVersion,
    CONTENT_OPTIONS.maxVersion,
    CONTENT_OPTIONS.threads,
    HELP_OPTION,
    VERSION_OPTION,
  ],
  examples: [
    {
      command: "mkcomposefs --digest-store=objects rootfs image.cfs",
      brief: "Make an image of a directory, and store the content of its files",
    },
    {
      command: "mkcomposefs --print-digest-only rootfs",
      brief: "Show the digest that the image would have",
    },
    {
      command: "composefs-info dump image.cfs | mkcomposefs --from-file - copy.cfs",
      brief: "Take an image apart and put it together again",
    },
  ],
  sections: [FORMAT_VERSIONS],
  exitStatus: DROP_IN_EXIT_MEANINGS,
  environment: [
    [
      "CFS_PARSE_STRICT",
      "If set, dump files must be exact: a line break at the end, symlink sizes that match, device numbers only on devices.",
    ],
    ["POSIXLY_CORRECT", "If set, options after the first operand are operands too."],
  ],
  seeAlso: ["composefs(1)", "composefs-info(1)", "composefs-dump(5)", "mount.composefs(8)"],
};
