/** `composefs-info`: the table behind its options, help, man page and completions. */

import { DROP_IN_EXIT_MEANINGS } from "../exit.ts";
import { HELP_OPTION, VERSION_OPTION } from "../command-line/spec.ts";
import type { ProgramSpec } from "../command-line/spec.ts";

/** The commands, in the order of the help. */
export const INFO_COMMANDS = ["ls", "objects", "missing-objects", "dump", "measure-file"] as const;

export const COMPOSEFS_INFO: ProgramSpec = {
  name: "composefs-info",
  manual: 1,
  brief: "show what is in composefs images",
  description: [
    "Reads composefs images and prints what COMMAND asks for. Several images are handled one after the other; the lists of objects are those of all images together.",
  ],
  operands: [
    { name: "COMMAND", kind: { choices: INFO_COMMANDS } },
    { name: "IMAGE", kind: "file", variadic: true },
  ],
  options: [
    {
      name: "basedir",
      value: { label: "PATH", kind: "directory" },
      brief: "Look for objects in this directory (missing-objects)",
    },
    {
      name: "filter",
      value: { label: "NAME", kind: "text" },
      repeatable: true,
      brief: "Read only this entry of the root directory; may be repeated",
      details: "NAME is one name without `/`. Entries that are left out are not read at all.",
    },
    HELP_OPTION,
    VERSION_OPTION,
  ],
  examples: [
    { command: "composefs-info ls image.cfs", brief: "List all files" },
    {
      command: "composefs-info --basedir=objects missing-objects image.cfs",
      brief: "List the objects that a mount of the image would miss",
    },
    {
      command: "composefs-info --filter=etc dump image.cfs",
      brief: "Show one directory of the image in full",
    },
    { command: "composefs-info measure-file image.cfs", brief: "Print the digest of an image" },
  ],
  sections: [
    {
      title: "Commands",
      terms: [
        [
          "ls",
          "Prints each path; directories end with `/`, symlinks and external files are followed by a tab and `-> target` or `@ object`.",
        ],
        [
          "objects",
          "Prints the paths of the objects that the images need, each once, in byte order.",
        ],
        [
          "missing-objects",
          "Prints those of them that are not in the directory of --basedir; all of them without it.",
        ],
        [
          "dump",
          "Prints the images in the format of composefs-dump(5), which mkcomposefs --from-file reads.",
        ],
        [
          "measure-file",
          "Prints the fs-verity digest (sha256) of each file, whatever it is: the kernel's where fs-verity is enabled on it, else computed.",
        ],
      ],
    },
  ],
  exitStatus: DROP_IN_EXIT_MEANINGS,
  environment: [["POSIXLY_CORRECT", "If set, options after the first operand are operands too."]],
  seeAlso: ["composefs(1)", "mkcomposefs(1)", "composefs-dump(5)"],
};
