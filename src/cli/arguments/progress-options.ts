/** The options that say how a command tells of long work. */

import type { OptionSpec } from "../command-line/spec.ts";
import { PROGRESS_MODES } from "../output/progress.ts";

export const PROGRESS_OPTIONS: readonly OptionSpec[] = [
  {
    name: "progress",
    value: { label: "HOW", kind: { choices: PROGRESS_MODES } },
    brief: "Show progress: auto, plain, none or json (auto unless told)",
  },
  { name: "quiet", short: "q", brief: "Print nothing but errors" },
];
