/** `--basedir`, of the commands on image files whose objects are in some directory. */

import type { OptionSpec } from "../command-line/spec.ts";

export const BASEDIR_OPTION: OptionSpec = {
  name: "basedir",
  value: { label: "DIR", kind: "directory" },
  repeatable: true,
  brief: "Look for objects in this directory; may be repeated",
};
