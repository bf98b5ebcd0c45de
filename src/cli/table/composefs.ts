/** `composefs`: the table behind its commands, options, help, man page and completions. */

import { EXIT_MEANINGS } from "../exit.ts";
import { PROGRESS_MODES } from "../output/progress.ts";
import { REPOSITORY_OPTIONS } from "../arguments/repository-options.ts";
import { HELP_OPTION, JSON_OPTION, VERSION_OPTION } from "../command-line/spec.ts";
import type { CommandSpec, OptionSpec, ProgramSpec, Section } from "../command-line/spec.ts";
import { CONTENT_OPTIONS, FORMAT_VERSIONS } from "./mkcomposefs.ts";
import { EXPORT_COMMANDS } from "./export.ts";
import { IMAGE_COMMANDS } from "./images.ts";
import { REPO_COMMANDS } from "./repo.ts";
import { USE_COMMANDS } from "./use.ts";
import { SEAL_COMMANDS } from "./seal.ts";

const BASEDIR_OPTION: OptionSpec = {
  name: "basedir",
  value: { label: "DIR", kind: "directory" },
  repeatable: true,
  brief: "Look for objects in this directory; may be repeated",
};

const FILTER_OPTION: OptionSpec = {
  name: "filter",
  value: { label: "NAME", kind: "text" },
  repeatable: true,
  brief: "Read only this entry of the root directory; may be repeated",
};

const STRICT_OPTION: OptionSpec = {
  name: "strict",
  brief: "Accept only exact dump files (as CFS_PARSE_STRICT does)",
};

/** A JSON shape as a section; `terms` are the keys. */
function jsonShape(intro: string, terms: Section["terms"] & object): Section {
  return { title: "JSON", paragraphs: [intro], terms };
}

const MK: CommandSpec = {
  name: "mk",
  brief: "Make an image of a directory or a dump file",
  description: [
    "Makes a composefs image of SOURCE, which is a directory, or with --from-file a dump file (`-` is standard input), and writes it to IMAGE (`-` is standard output). Prints the digest of the image and what was done.",
    "IMAGE appears under its name when it is complete and all its objects are on disk. If anything fails, what was there before stays.",
  ],
  operands: [
    { name: "SOURCE", kind: "file" },
    { name: "IMAGE", kind: "file", optional: true },
  ],
  options: [
    CONTENT_OPTIONS.digestStore,
    CONTENT_OPTIONS.fromFile,
    CONTENT_OPTIONS.hardlinks,
    CONTENT_OPTIONS.useEpoch,
    CONTENT_OPTIONS.skipDevices,
    CONTENT_OPTIONS.skipXattrs,
    CONTENT_OPTIONS.userXattrs,
    STRICT_OPTION,
    CONTENT_OPTIONS.minVersion,
    CONTENT_OPTIONS.maxVersion,
    CONTENT_OPTIONS.threads,
    { name: "digest-only", brief: "Print only the digest, and write no image (IMAGE is left out)" },
    {
      name: "progress",
      value: { label: "HOW", kind: { choices: PROGRESS_MODES } },
      brief: "Show progress: auto, plain, none or json (auto unless told)",
    },
    { name: "quiet", short: "q", brief: "Print nothing but errors" },
    JSON_OPTION,
  ],
  examples: [
    {
      command: "composefs mk --digest-store=objects rootfs image.cfs",
      brief: "Make an image, and store the content of its files",
    },
    { command: "composefs mk --digest-only rootfs", brief: "Only tell the digest" },
    {
      command: "composefs dump image.cfs | composefs mk --from-file - copy.cfs",
      brief: "Take an image apart and put it together again",
    },
  ],
  sections: [
    {
      ...FORMAT_VERSIONS,
      terms: [
        ...FORMAT_VERSIONS.terms!,
        ["2", "The layout of composefs-rs. Only used when --min-version asks for it."],
      ],
    },
    jsonShape("One object:", [
      ["digest", "fs-verity digest (sha256) of the image"],
      ["image", "path of the image, or null"],
      ["imageSize", "bytes of the image"],
      ["formatVersion", "0, 1 or 2"],
      ["files", "names that are not directories"],
      ["directories", "directories, with the root"],
      ["externalFiles", "files whose content is in objects"],
      ["externalBytes", "sum of their sizes"],
      ["objects", "different objects among them"],
      ["objectBytes", "sum of the sizes of the objects"],
      ["seconds", "time it took"],
    ]),
  ],
};

const LS: CommandSpec = {
  name: "ls",
  brief: "List the files of an image",
  description: [
    "Prints for each entry of IMAGE its mode, link count, owner and group (as numbers), size or device number, modification time (UTC), path, and where it leads: `-> target` of a symlink, `@ object` of an external file, `= path` of a further name of a file.",
    "With PATH only that entry and what is below it.",
  ],
  operands: [
    { name: "IMAGE", kind: "file" },
    { name: "PATH", kind: "text", optional: true },
  ],
  options: [FILTER_OPTION, JSON_OPTION],
  examples: [
    { command: "composefs ls image.cfs", brief: "List everything" },
    { command: "composefs ls image.cfs /etc", brief: "List one directory and what is below it" },
    {
      command: "composefs ls --json image.cfs | jq -r '.[] | select(.size > 1e6) | .path'",
      brief: "Find large files",
    },
  ],
  sections: [
    jsonShape(
      "An array with one object for each entry. Paths and targets are text; a byte that is not printable UTF-8, and the backslash, is written `\\xNN`.",
      [
        ["path", "absolute path"],
        ["type", "file, directory, symlink, chardev, blockdev, fifo or socket"],
        ["mode", "permission bits as a number"],
        ["nlink, uid, gid, size", "numbers"],
        ["mtime", "object of sec (text, for it may exceed 2^53) and nsec"],
        ["target", "of a symlink"],
        ["content", "inline, external or sparse, of a file"],
        ["object, digest", "of an external file, each if there is one"],
        ["rdev", "major:minor of a device"],
        ["linkOf", "path of the first name, of a further name of a file"],
        ["xattrs", "object of names and values; a value is text as paths are"],
      ],
    ),
  ],
};

const DUMP: CommandSpec = {
  name: "dump",
  brief: "Print images as text",
  description: [
    "Prints each IMAGE in the format of composefs-dump(5), one line for each entry with everything the image says about it. `composefs mk --from-file` reads it.",
  ],
  operands: [{ name: "IMAGE", kind: "file", variadic: true }],
  options: [FILTER_OPTION],
  examples: [
    { command: "composefs dump image.cfs", brief: "Print everything" },
    { command: "composefs dump --filter=etc image.cfs", brief: "Print only /etc" },
  ],
};

const OBJECTS: CommandSpec = {
  name: "objects",
  brief: "List the objects that images need",
  description: ["Prints the paths of the objects that the images need, each once, in byte order."],
  operands: [{ name: "IMAGE", kind: "file", variadic: true }],
  options: [FILTER_OPTION, JSON_OPTION],
  examples: [
    {
      command: "composefs objects image.cfs | rsync -a --files-from=- objects/ host:objects/",
      brief: "Send what an image needs",
    },
  ],
  sections: [jsonShape("An array of paths, as text.", [])],
};

const MISSING: CommandSpec = {
  name: "missing",
  brief: "List the objects that images need and nobody has",
  description: [
    "Prints the paths of the objects that the images need and that are in none of the base directories, each once, in byte order. Exits with 4 if there are any.",
  ],
  operands: [{ name: "IMAGE", kind: "file", variadic: true }],
  options: [BASEDIR_OPTION, FILTER_OPTION, JSON_OPTION],
  examples: [
    {
      command: "composefs missing --basedir=objects image.cfs",
      brief: "Check that an image can be mounted without holes",
    },
  ],
  sections: [jsonShape("An array of paths, as text.", [])],
};

const EXPLAIN: CommandSpec = {
  name: "explain",
  brief: "Name every byte of an image",
  description: [
    "Prints for each field of IMAGE its offset (in hexadecimal), length, name and value, under the structure that it is part of, in the order of the offsets; no byte is left out. A damaged image is explained as far as it can be, and the place where it cannot be read is marked with `!!`.",
  ],
  operands: [{ name: "IMAGE", kind: "file" }],
  options: [JSON_OPTION],
  examples: [
    { command: "composefs explain image.cfs | less", brief: "Read an image" },
    {
      command: "diff <(composefs explain a.cfs) <(composefs explain b.cfs)",
      brief: "Find out why two images are not the same",
    },
  ],
  sections: [
    jsonShape("An array with one object for each field.", [
      ["offset, length", "in bytes from the start of the image"],
      ["structure", "what the field is part of"],
      ["field", "its name"],
      ["value", "what it says: a number or text"],
      ["path", "of an inode and its data: the first path that leads there"],
      ["problem", "why the image cannot be read, on the field where that shows"],
    ]),
  ],
};

const DIFF: CommandSpec = {
  name: "diff",
  brief: "Show how two trees differ",
  description: [
    "Compares two trees; each of A and B is an image, a dump file or a directory (`-` is a dump file on standard input), or an image of the repository: its tag, or `@` and the digest of its manifest. With an option that names the repository both are; else each that is no file. Prints `-` and the path of what is only in A, `+` of what is only in B, and `~` of what is in both, with the properties that differ. Exits with 3 if there are differences.",
    "A directory is scanned and its files are hashed, as `composefs mk` does.",
  ],
  operands: [
    { name: "A", kind: "file" },
    { name: "B", kind: "file" },
  ],
  options: [
    CONTENT_OPTIONS.hardlinks,
    { name: "ignore-mtime", brief: "Do not compare modification times" },
    { name: "stat", brief: "Print only how many paths differ, and what B costs beside A" },
    ...REPOSITORY_OPTIONS,
    JSON_OPTION,
  ],
  examples: [
    { command: "composefs diff old.cfs new.cfs", brief: "Show what an update changes" },
    {
      command: "composefs diff --stat debian:12 debian:13",
      brief: "Show what an update of an image in the repository costs",
    },
    {
      command: "composefs diff --ignore-mtime image.cfs rootfs",
      brief: "Compare an image with a directory",
    },
  ],
  sections: [
    jsonShape("An array with one object for each path that differs.", [
      ["path", "absolute path, as text"],
      ["change", "added, removed or changed"],
      ["fields", "names of the properties that differ, of a changed path"],
    ]),
    {
      title: "JSON with --stat",
      paragraphs: ["One object:"],
      terms: [
        ["added, removed, changed", "numbers of paths"],
        ["store", "objects and bytes that B needs and A has not"],
        [
          "download",
          "layers and bytes (compressed) that B has and A has not, and layersOf, the number of all layers of B; null unless both are images of the repository",
        ],
      ],
    },
  ],
};

const LINT: CommandSpec = {
  name: "lint",
  brief: "Find the mistakes of a dump file",
  description: [
    "Reads a dump file (`-` is standard input) and prints each mistake with its line, field, reason and what to do about it. Exits with 1 if there are errors; warnings alone do not count.",
  ],
  operands: [{ name: "DUMP", kind: "file" }],
  options: [JSON_OPTION],
  examples: [{ command: "composefs lint tree.dump", brief: "Check a dump file" }],
  sections: [
    jsonShape("An array with one object for each mistake.", [
      ["line", "from 1; 0 is the whole file"],
      ["field", "the field of the line"],
      ["severity", "error or warning"],
      ["reason", "what is wrong"],
      ["hint", "what to do, or null"],
    ]),
  ],
};

const DIGEST: CommandSpec = {
  name: "digest",
  brief: "Print the fs-verity digests of files",
  description: [
    "Prints the fs-verity digest and the name of each FILE: the digest that the kernel has where fs-verity is enabled with the same parameters, else a computed one.",
  ],
  operands: [{ name: "FILE", kind: "file", variadic: true }],
  options: [
    {
      name: "algorithm",
      value: { label: "NAME", kind: { choices: ["sha256", "sha512"] } },
      brief: "Hash function: sha256 or sha512 (sha256 unless told)",
    },
    {
      name: "block-size",
      value: { label: "BYTES", kind: "number" },
      brief: "Block size of the Merkle tree: a power of two from 1024 to 65536 (4096 unless told)",
    },
    JSON_OPTION,
  ],
  examples: [
    {
      command: "composefs digest image.cfs",
      brief: "Print what to give to the mount option digest",
    },
    { command: "composefs digest --algorithm=sha512 *", brief: "Use the other hash function" },
  ],
  sections: [
    jsonShape("An array with one object for each file.", [
      ["path", "as it was given, as text"],
      ["algorithm", "sha256 or sha512"],
      ["blockSize", "in bytes"],
      ["digest", "in hexadecimal"],
      ["source", "kernel or computed"],
    ]),
  ],
};

const MOUNT: CommandSpec = {
  name: "mount",
  brief: "Mount an image",
  description: [
    "Mounts IMAGE on the directory MOUNTPOINT. If anything fails, nothing is left behind. See mount.composefs(8) for the form that mount(8) uses.",
    "IMAGE is a file, or an image of the repository: its tag, or `@` and the digest of its manifest. With an option that names the repository it is the latter; else if there is no such file. From a repository that requires fs-verity everything is mounted with digest and verity=require.",
  ],
  operands: [
    { name: "IMAGE", kind: "file" },
    { name: "MOUNTPOINT", kind: "directory" },
  ],
  options: [
    BASEDIR_OPTION,
    {
      name: "digest",
      value: { label: "DIGEST", kind: "text" },
      brief: "Mount only if fs-verity is enabled on the image with this digest",
    },
    {
      name: "verity",
      value: { label: "WHEN", kind: { choices: ["require", "try", "off"] } },
      brief: "Check the objects by fs-verity: require, try or off (off, with --digest require)",
    },
    {
      name: "upperdir",
      value: { label: "DIR", kind: "directory" },
      brief: "Writable upper directory",
    },
    {
      name: "workdir",
      value: { label: "DIR", kind: "directory" },
      brief: "Work directory that goes with it",
    },
    { name: "read-only", brief: "Mount read-only even with an upper directory" },
    {
      name: "idmap",
      value: { label: "PATH", kind: "file" },
      brief: "Map owners through this user namespace, such as /proc/PID/ns/user",
    },
    ...REPOSITORY_OPTIONS,
    { name: "bootable", brief: "Of an image of the repository, mount the form that is booted" },
    { name: "dry-run", brief: "Print the steps and do nothing" },
  ],
  examples: [
    { command: "composefs mount debian /mnt", brief: "Mount an image of the repository" },
    { command: "composefs mount --basedir=objects image.cfs /mnt", brief: "Mount an image" },
    {
      command: "composefs mount --dry-run --basedir=objects image.cfs /mnt",
      brief: "Show what would be done",
    },
  ],
};

const UMOUNT: CommandSpec = {
  name: "umount",
  brief: "Unmount an image",
  description: ["Unmounts what is mounted on MOUNTPOINT."],
  operands: [{ name: "MOUNTPOINT", kind: "directory" }],
  options: [],
  examples: [{ command: "composefs umount /mnt", brief: "Unmount" }],
};

const COMPLETION: CommandSpec = {
  name: "completion",
  brief: "Print a completion script for a shell",
  description: [
    "Prints a script that completes the command lines of composefs, mkcomposefs, composefs-info, composefs-dump and mount.composefs in SHELL.",
  ],
  operands: [{ name: "SHELL", kind: { choices: ["bash", "zsh", "fish"] } }],
  options: [],
  examples: [
    { command: "source <(composefs completion bash)", brief: "In ~/.bashrc" },
    { command: "source <(composefs completion zsh)", brief: "In ~/.zshrc, after compinit" },
    { command: "composefs completion fish | source", brief: "In ~/.config/fish/config.fish" },
  ],
};

/** What the groups of commands are about, by the word that is typed first. */
export const COMMAND_GROUPS: Readonly<Record<string, string>> = {
  repo: "Makes and looks after repositories.",
};

export const COMPOSEFS: ProgramSpec & { readonly commands: readonly CommandSpec[] } = {
  name: "composefs",
  manual: 1,
  brief: "make, read, check and mount composefs images",
  description: [
    "A composefs image is a read-only file system tree in one small file: names and metadata are in the image, the content of files is in objects that many images share, and one fs-verity digest seals all of it.",
  ],
  operands: [],
  commands: [
    MK,
    LS,
    DUMP,
    OBJECTS,
    MISSING,
    EXPLAIN,
    DIFF,
    LINT,
    DIGEST,
    MOUNT,
    UMOUNT,
    ...USE_COMMANDS,
    ...IMAGE_COMMANDS,
    ...EXPORT_COMMANDS,
    ...REPO_COMMANDS,
    ...SEAL_COMMANDS,
    COMPLETION,
  ],
  options: [HELP_OPTION, VERSION_OPTION],
  examples: [
    {
      command: "composefs mk --digest-store=objects rootfs image.cfs",
      brief: "Make an image of a directory",
    },
    { command: "composefs mount --basedir=objects image.cfs /mnt", brief: "Mount it" },
    { command: "composefs ls image.cfs", brief: "List it" },
  ],
  exitStatus: EXIT_MEANINGS,
  environment: [
    ["COMPOSEFS_REPO", "The repository of commands that use one, unless an option names it."],
    [
      "NO_COLOR",
      "If set and not empty, no colours are used. They are only used on a terminal anyway.",
    ],
  ],
  seeAlso: [
    "mkcomposefs(1)",
    "composefs-info(1)",
    "composefs-dump(1)",
    "mount.composefs(8)",
    "composefs-dump(5)",
  ],
};
