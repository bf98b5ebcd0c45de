/**
 * Completion scripts for bash, zsh and fish, from the tables of the commands.
 *
 * They are plain text that the shell runs: no process is started when somebody presses Tab. (A package
 * that asks the command itself was tried; it starts Node for each key press and cannot complete file
 * names, which are most of what these commands take. See docs/decisions/.)
 */

import type { ProgramSpec } from "../command-line/spec.ts";
import { formatBashCompletion } from "./bash.ts";
import { formatFishCompletion } from "./fish.ts";
import { formatZshCompletion } from "./zsh.ts";

/** The shells, and what writes their script. */
export const COMPLETION_SHELLS = {
  bash: formatBashCompletion,
  zsh: formatZshCompletion,
  fish: formatFishCompletion,
} as const satisfies Record<string, (programs: readonly ProgramSpec[]) => string>;

/** A shell there is a script for. */
export type CompletionShell = keyof typeof COMPLETION_SHELLS;
