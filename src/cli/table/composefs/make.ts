/** `composefs mk`: from a directory or a dump file to an image. */

import { PROGRESS_OPTIONS } from "../../arguments/progress-options.ts";
import { JSON_OPTION, jsonSection } from "../../command-line/spec.ts";
import type { CommandSpec, OptionSpec } from "../../command-line/spec.ts";
import { CONTENT_OPTIONS, FORMAT_VERSIONS } from "../mkcomposefs.ts";

const STRICT_OPTION: OptionSpec = {
  name: "strict",
  brief: "Accept only exact dump files (as CFS_PARSE_STRICT does)",
};

export const MK: CommandSpec = {
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
    ...PROGRESS_OPTIONS,
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
    jsonSection("One object:", [
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
