/** `composefs repo`: the commands about a repository as a whole. */

import { REPOSITORY_OPTIONS, REPOSITORY_PATH_OPTIONS } from "../../arguments/repository-options.ts";
import { SOURCE_OPTIONS } from "../../arguments/source-options.ts";
import { JSON_OPTION, jsonSection } from "../../command-line/spec.ts";
import type { CommandSpec, Section } from "../../command-line/spec.ts";

const METADATA_KEYS: Section["terms"] & object = [
  ["path", "path of the repository, as text"],
  ["algorithm", "sha256 or sha512"],
  ["verity", "required or missing-allowed"],
  ["erofsFormats", "object of default (a number) and extra (numbers)"],
];

const INIT: CommandSpec = {
  name: "repo init",
  brief: "Make a repository",
  description: [
    "Makes a repository at PATH, or at the place that the options name, unless it is there already as it was asked for.",
    "A repository is a directory that holds objects, images that need them, and names; composefs-rs uses the same. Its objects have fs-verity, so that the kernel checks each read, unless --verity=missing-allowed is given; this is decided once and for all.",
  ],
  operands: [{ name: "PATH", kind: "directory", optional: true }],
  options: [
    ...REPOSITORY_PATH_OPTIONS,
    {
      name: "algorithm",
      value: { label: "NAME", kind: { choices: ["sha256", "sha512"] } },
      brief: "Hash function of the digests: sha512 unless told",
    },
    {
      name: "verity",
      value: { label: "HOW", kind: { choices: ["required", "missing-allowed"] } },
      brief: "Whether objects must have fs-verity: required unless told",
      details: "With required, a file system without fs-verity is an error.",
    },
    {
      name: "erofs-version",
      value: { label: "N", kind: { choices: ["0", "1", "2"] } },
      repeatable: true,
      brief: "Format version of the images; may be repeated (1 unless told)",
      details: "The first is the default; each image is also made in the others.",
    },
    {
      name: "ensure",
      brief: "Take a repository with other format versions as it is, and upgrade an old one",
    },
    {
      name: "reset-metadata",
      brief:
        "Start anew: remove the names, images and streams that are there, and keep the objects",
    },
    JSON_OPTION,
  ],
  examples: [
    {
      command: "composefs repo init /srv/composefs",
      brief: "Make a repository on a file system with fs-verity",
    },
    {
      command: "composefs repo init --user --verity=missing-allowed",
      brief: "Make one of your own, on any file system",
    },
  ],
  sections: [
    jsonSection("One object:", [["outcome", "created, already or upgraded"], ...METADATA_KEYS]),
  ],
};

const STATUS: CommandSpec = {
  name: "repo status",
  brief: "Show what a repository is and holds",
  description: [
    "Prints the properties of a repository, and how many objects, images, streams and refs it holds. No file is read; `composefs repo fsck` does that.",
  ],
  operands: [],
  options: [...REPOSITORY_OPTIONS, JSON_OPTION],
  examples: [
    { command: "composefs repo status", brief: "Show the repository that is used unless told" },
    {
      command: "composefs repo status --repo /srv/composefs --json | jq .objectBytes",
      brief: "Tell how much is stored",
    },
  ],
  sections: [
    jsonSection("One object:", [
      ...METADATA_KEYS,
      ["features", "object of compatible, readOnlyCompatible and incompatible: arrays of names"],
      ["writable", "true, or false if this user, the file system or a feature forbids it"],
      ["objects, objectBytes", "number of objects, and the sum of their sizes"],
      ["images, streams", "numbers"],
      ["imageRefs, streamRefs", "names that keep images and streams"],
      ["temporary", "files that are being made, or whose maker died"],
      ["strange", "files of no known name"],
    ]),
  ],
};

const GC: CommandSpec = {
  name: "repo gc",
  brief: "Remove what nothing in a repository needs any more",
  description: [
    "Removes the objects, streams and images that no ref leads to. What is mounted stays, and so does what --root names. Waits until nobody else uses the repository.",
    "If something that has to stay cannot be read, nobody knows what it needs: then no object goes, and the exit status is 6. Files of no known name are reported and left alone; unfinished files go when nobody has touched them for an hour.",
  ],
  operands: [],
  options: [
    ...REPOSITORY_OPTIONS,
    { name: "dry-run", short: "n", brief: "Print what would go, and remove nothing" },
    {
      name: "root",
      short: "r",
      value: { label: "NAME", kind: "text" },
      repeatable: true,
      brief: "Keep the stream or image of this name, too; may be repeated",
    },
    {
      name: "give-up-damaged",
      brief: "Remove what only damaged images may need, and refs that lead to nothing",
    },
    JSON_OPTION,
  ],
  examples: [
    { command: "composefs repo gc --dry-run", brief: "Show what would go" },
    {
      command: "composefs untag old && composefs repo gc",
      brief: "Remove an image, and what only this image needed",
    },
  ],
  sections: [
    jsonSection("One object:", [
      ["dryRun", "true if nothing was removed"],
      ["objects, objectBytes", "number and bytes of the objects that go"],
      ["streams, images, links", "numbers of names that go, and their paths"],
      ["origins", "paths of notes of where images came from that go with them"],
      ["temporary", "paths of unfinished files that go"],
      ["kept", "objects and bytes of what is needed"],
      ["held", "objects and bytes of what stays only because of damage"],
      ["mounted", "array of digest and where, of images that are, or may be, mounted"],
      ["unidentifiedMounts", "mount points of which any image may be below"],
      ["damage", "array of what, digest (or null), neededBy and reason"],
      ["strange", "array of path and reason, of files of no known name"],
    ]),
  ],
};

const FSCK: CommandSpec = {
  name: "repo fsck",
  brief: "Check a repository, and tell which images damage hurts",
  description: [
    "Checks that each object has the content of its name (the kernel tells where it has fs-verity, else it is hashed), that streams and EROFS images can be read and what they need is there, that refs lead somewhere, and that what belongs to each tag is complete. Prints what is damaged, and for each image the files whose content that is.",
    "Exits with 6 if there is damage. Files of no known name are noted, and are no damage.",
  ],
  operands: [],
  options: [
    ...REPOSITORY_OPTIONS,
    {
      name: "repair",
      brief: "Repair what is damaged, as far as there is good content somewhere",
      details:
        "Content is taken from other repositories (--from), EROFS images are made again of their layers, and what is left is fetched from where each image came from: as its pull noted it, or else by its tag; --source names another place. Nothing takes the place of an object unless it has its digest. What is reported then is what is left.",
    },
    {
      name: "from",
      value: { label: "DIR", kind: "directory" },
      repeatable: true,
      brief: "With --repair: take objects from this repository, too; may be repeated",
    },
    {
      name: "source",
      value: { label: "IMAGE", kind: "text" },
      brief: "With --repair: fetch from here, and not from where the image was pulled",
    },
    ...SOURCE_OPTIONS,
    { name: "metadata-only", brief: "Do not read objects: only look whether they are there" },
    {
      name: "deep",
      brief: "Also read every byte that has fs-verity, and make layers and EROFS images again",
      details:
        "Layers are put together again and compared with their diff IDs; EROFS images are made again of their layers and compared.",
    },
    JSON_OPTION,
  ],
  examples: [
    { command: "composefs repo fsck", brief: "Check everything" },
    {
      command: "composefs repo fsck --json | jq -r '.hurt[].name'",
      brief: "List the images that lack something",
    },
    {
      command: "composefs repo fsck --repair",
      brief: "Get back what is damaged, from where the images came from",
    },
  ],
  sections: [
    jsonSection("One object:", [
      ["ok", "true if there is no damage"],
      ["objects, streams, images, ociImages", "objects of checked and damaged, numbers"],
      ["brokenLinks, missingObjects", "numbers"],
      ["findings", "array of kind, severity (damage or note), where, digest (or null), detail"],
      [
        "hurt",
        "array of name (a tag, or the path of a ref), isUnusable, files (up to 1000 paths), fileCount, objects (digests)",
      ],
      ["repaired", "with --repair: array of digest and from"],
      ["failures", "with --repair: array of texts, what could not be done"],
    ]),
  ],
};

const INDEX: CommandSpec = {
  name: "repo index",
  brief: "Show or rebuild the index of contents by their SHA-256",
  description: [
    "Tells how many contents the index of a repository knows by their SHA-256. Pulls add to it, and find by it what need not be downloaded. It is a cache: nothing is lost with it but time.",
  ],
  operands: [],
  options: [
    ...REPOSITORY_OPTIONS,
    { name: "rebuild", brief: "Make it anew of the objects, which are all read" },
    { name: "compact", brief: "Remove entries of objects that are gone" },
    JSON_OPTION,
  ],
  examples: [
    {
      command: "composefs repo index --rebuild",
      brief: "Make known what came in by other programs",
    },
  ],
  sections: [jsonSection("One object:", [["records", "number of entries"]])],
};

export const REPO_COMMANDS: readonly CommandSpec[] = [INIT, STATUS, GC, FSCK, INDEX];
