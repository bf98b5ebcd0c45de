/** `cfsctl`: the commands of the repository. */

import type { ByteString } from "../../../core/bytes/byte-string.ts";
import type { ClapCommand } from "../../command-line/clap.ts";
import { READ_OPTIONS } from "./scan.ts";

const IMAGE = { name: "NAME", kind: "text" } as const;

const IMAGE_NAMES =
  "An image is named by its digest in hexadecimal, or by `refs/NAME`, as create-image and import-image name it.";

/** The options of all commands that mount. */
export const MOUNT_OPTIONS: ClapCommand["options"] = [
  {
    name: "fuse",
    value: { label: "MODE", kind: { choices: ["auto", "yes", "no"] } },
    brief: "Accepted for `auto` and `no`: only the kernel mounts here",
  },
  { name: "foreground", brief: "Accepted and ignored: it is about FUSE" },
  {
    name: "upperdir",
    value: { label: "DIR", kind: "directory" },
    brief: "A writable upper directory; needs --workdir",
  },
  {
    name: "workdir",
    value: { label: "DIR", kind: "directory" },
    brief: "Work directory of overlayfs; needs --upperdir",
  },
  { name: "read-write", brief: "Allow writes, which go to the upper directory" },
];

export const MOUNT_RULES = {
  requires: [
    ["upperdir", "workdir"],
    ["workdir", "upperdir"],
    ["read-write", "upperdir"],
  ],
} as const;

export const INIT: ClapCommand = {
  name: "init",
  brief: "Make a repository",
  description: [
    "Makes a repository at PATH, or where the global options say. If there is one with the same settings already, nothing is done; with others, it is an error.",
  ],
  operands: [{ name: "PATH", kind: "directory", optional: true }],
  options: [
    {
      name: "algorithm",
      value: { label: "ALGORITHM", kind: "text" },
      brief: "fsverity-sha512-12 (unless told) or fsverity-sha256-12",
    },
    { name: "insecure", brief: "Do without fs-verity, which then protects nothing" },
    {
      name: "reset-metadata",
      brief: "First remove everything but the objects: streams, images and settings",
    },
    { name: "ensure", brief: "Take a repository that is there as it is, whatever its settings" },
    {
      name: "erofs-version",
      value: { label: "VERSION", kind: { choices: ["0", "1", "2"] } },
      brief: "The format of its images; 1 unless told",
    },
  ],
  checks: { algorithm: algorithmProblem },
  examples: [
    { command: "cfsctl init /srv/repository", brief: "A repository whose files have fs-verity" },
    { command: "cfsctl --repo repository init --insecure", brief: "One on any file system" },
  ],
};

export const TRANSACTION: ClapCommand = {
  name: "transaction",
  brief: "Keep garbage collection away until interrupted",
  description: [
    "Holds the lock of the repository that all who work with it hold, until a signal ends it.",
  ],
  operands: [],
  options: [],
  examples: [{ command: "cfsctl --repo repository transaction", brief: "Until Ctrl-C" }],
};

export const CAT: ClapCommand = {
  name: "cat",
  brief: "Write the file that a stream stands for to standard output",
  description: [
    "Puts the file together again, bit for bit, from the stream and its objects. NAME is the name of the stream, or `refs/NAME`.",
  ],
  operands: [IMAGE],
  options: [],
  examples: [
    { command: "cfsctl --repo repository cat refs/oci/web", brief: "The manifest of an OCI image" },
  ],
};

export const IMPORT_IMAGE: ClapCommand = {
  name: "import-image",
  brief: "Take an EROFS image from standard input",
  description: [
    "Stores the image, names it `refs/REFERENCE`, and prints its digest. What it holds can be mounted from then on: only import what you trust.",
  ],
  operands: [{ name: "REFERENCE", kind: "text" }],
  options: [],
  examples: [
    { command: "cfsctl --repo repository import-image base < image.cfs", brief: "Import a file" },
  ],
};

export const IMAGES: ClapCommand = {
  name: "images",
  aliases: ["list-images"],
  brief: "List the named images",
  description: ["Shows the names of images and their digests."],
  operands: [],
  options: [
    { name: "json", brief: "Print JSON" },
    { name: "no-trunc", brief: "Show whole digests" },
  ],
  examples: [{ command: "cfsctl --repo repository images --json", brief: "For a script" }],
};

export const MOUNT: ClapCommand = {
  name: "mount",
  brief: "Mount an image of the repository",
  description: [
    "Mounts the image NAME on the directory MOUNTPOINT, with its files out of the repository.",
    IMAGE_NAMES,
    "In a repository that requires fs-verity, the image's digest is checked first, and the kernel refuses every file whose digest is missing or wrong.",
  ],
  operands: [IMAGE, { name: "MOUNTPOINT", kind: "directory" }],
  options: MOUNT_OPTIONS,
  ...MOUNT_RULES,
  examples: [{ command: "cfsctl --repo repository mount refs/base /mnt", brief: "Mount by name" }],
};

export const CREATE_IMAGE: ClapCommand = {
  name: "create-image",
  brief: "Make an image of a directory, and store it with its files",
  description: [
    "Stores the files of a directory and its image in the repository, and prints the image's digest. With NAME the image is named `refs/NAME`; without, the next garbage collection removes it.",
  ],
  operands: [
    { name: "PATH", kind: "directory" },
    { name: "NAME", kind: "text", optional: true },
  ],
  options: READ_OPTIONS,
  examples: [
    {
      command: "cfsctl --repo repository create-image /srv/rootfs base",
      brief: "Store a root file system",
    },
  ],
};

export const IMAGE_OBJECTS: ClapCommand = {
  name: "image-objects",
  brief: "List the objects that an image needs",
  description: [IMAGE_NAMES],
  operands: [IMAGE],
  options: [],
  examples: [{ command: "cfsctl --repo repository image-objects refs/base", brief: "One a line" }],
};

export const DUMP_FILES: ClapCommand = {
  name: "dump-files",
  brief: "Show single files and directories of an image",
  description: [
    "Prints FILES of an image as composefs-dump(5), directories with all that is in them; or only where the content of files is.",
    IMAGE_NAMES,
  ],
  operands: [
    { name: "IMAGE", kind: "text" },
    { name: "FILES", kind: "file", optional: true, variadic: true },
  ],
  options: [
    {
      name: "backing-path-only",
      brief: "Print the path of each file's object, or the word `inline`",
    },
  ],
  examples: [
    {
      command: "cfsctl --repo repository dump-files refs/base /usr/bin/env --backing-path-only",
      brief: "Where the content of a file is",
    },
  ],
};

export const GC: ClapCommand = {
  name: "gc",
  brief: "Remove what nothing needs any more",
  description: [
    "Keeps what can be reached from the names of images and streams, from the roots that are given, and from images that are mounted. Waits until nobody else works in the repository.",
    "If something that has to stay is damaged, nobody knows what it needs: then nothing that it may need goes, and the exit status is 1.",
  ],
  operands: [],
  options: [
    {
      name: "root",
      short: "r",
      value: { label: "NAME", kind: "text" },
      repeatable: true,
      brief: "Keep this image or stream as well; can be repeated",
    },
    { name: "dry-run", short: "n", brief: "Only say how much would go" },
  ],
  examples: [{ command: "cfsctl --repo repository gc --dry-run", brief: "Look first" }],
};

const FSCK_OPTIONS: ClapCommand["options"] = [
  { name: "json", brief: "Print JSON; what is found is no failure then" },
];

export const FSCK: ClapCommand = {
  name: "fsck",
  brief: "Check the repository",
  description: [
    "Compares every object with its digest, and looks for what streams, images and names refer to. `composefs repo fsck` says more, and can repair.",
  ],
  operands: [],
  options: [...FSCK_OPTIONS, { name: "metadata-only", brief: "Do not read the objects" }],
  examples: [{ command: "cfsctl --repo repository fsck --json", brief: "For a script" }],
};

export const OCI_FSCK: ClapCommand = {
  name: "oci fsck",
  brief: "Check the repository and its images",
  description: [
    "As fsck, and looks whether the images behind the tags, or the one behind TAG, have what they need.",
  ],
  operands: [{ name: "TAG", kind: "text", optional: true }],
  options: FSCK_OPTIONS,
  examples: [{ command: "cfsctl --repo repository oci fsck web", brief: "One image" }],
};

function algorithmProblem(text: ByteString): string | undefined {
  return /^fsverity-(?:sha256|sha512)-\+?0*12$/.test(text)
    ? undefined
    : "expected fsverity-sha256-12 or fsverity-sha512-12";
}
