/** All programs of the package, by name. */

import type { ProgramSpec } from "../command-line/spec.ts";
import { CFSCTL } from "./cfsctl/cfsctl.ts";
import { COMPOSEFS_DUMP } from "./composefs-dump.ts";
import { COMPOSEFS_INFO } from "./composefs-info.ts";
import { COMPOSEFS } from "./composefs/composefs.ts";
import { MKCOMPOSEFS } from "./mkcomposefs.ts";
import { MOUNT_COMPOSEFS } from "./mount-composefs.ts";

export const PROGRAMS: readonly ProgramSpec[] = [
  COMPOSEFS,
  MKCOMPOSEFS,
  COMPOSEFS_INFO,
  COMPOSEFS_DUMP,
  MOUNT_COMPOSEFS,
  CFSCTL,
];
