/** The commands that read images, dump files and directories, without a repository. */

import { BASEDIR_OPTION } from "../../arguments/basedir-option.ts";
import { REPOSITORY_OPTIONS } from "../../arguments/repository-options.ts";
import { JSON_OPTION, jsonSection } from "../../command-line/spec.ts";
import type { CommandSpec, OptionSpec } from "../../command-line/spec.ts";
import { CONTENT_OPTIONS } from "../mkcomposefs.ts";

const FILTER_OPTION: OptionSpec = {
  name: "filter",
  value: { label: "NAME", kind: "text" },
  repeatable: true,
  brief: "Read only this entry of the root directory; may be repeated",
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
    jsonSection(
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
  sections: [jsonSection("An array of paths, as text.", [])],
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
  sections: [jsonSection("An array of paths, as text.", [])],
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
    jsonSection("An array with one object for each field.", [
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
    jsonSection("An array with one object for each path that differs.", [
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
    jsonSection("An array with one object for each mistake.", [
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
    jsonSection("An array with one object for each file.", [
      ["path", "as it was given, as text"],
      ["algorithm", "sha256 or sha512"],
      ["blockSize", "in bytes"],
      ["digest", "in hexadecimal"],
      ["source", "kernel or computed"],
    ]),
  ],
};

/** In the order of the help. */
export const FILE_COMMANDS: readonly CommandSpec[] = [
  LS,
  DUMP,
  OBJECTS,
  MISSING,
  EXPLAIN,
  DIFF,
  LINT,
  DIGEST,
];
