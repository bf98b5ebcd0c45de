/** `composefs-dump`: the table behind its help, man page and completions. */

import { DROP_IN_EXIT_MEANINGS } from "../exit.ts";
import { HELP_OPTION, VERSION_OPTION } from "../command-line/spec.ts";
import type { ProgramSpec } from "../command-line/spec.ts";

export const COMPOSEFS_DUMP: ProgramSpec = {
  name: "composefs-dump",
  manual: 1,
  brief: "read a composefs image and write it anew",
  description: [
    "Reads the composefs image SRC and writes the same tree as an image of the same format version to DEST. Of an image that was made by mkcomposefs the copy has the same bytes, which is what this command is for: to check that.",
    "It has no options but these two, and those only alone: any other word is a file name. For the text form of an image see composefs-info(1).",
  ],
  operands: [
    { name: "SRC", kind: "file" },
    { name: "DEST", kind: "file" },
  ],
  options: [HELP_OPTION, VERSION_OPTION],
  examples: [
    {
      command: "composefs-dump image.cfs copy.cfs && cmp image.cfs copy.cfs",
      brief: "Check that an image is what mkcomposefs would write",
    },
  ],
  exitStatus: DROP_IN_EXIT_MEANINGS,
  seeAlso: ["composefs(1)", "composefs-info(1)", "mkcomposefs(1)"],
};
