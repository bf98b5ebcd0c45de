/**
 * Tells people about a failure: on standard error, with what to try next.
 */

import { ComposefsError } from "../core/errors.ts";
import { EXIT, describeFailure } from "./exit.ts";
import type { Io } from "./output/io.ts";

/** Prints an error and returns the exit status for it. */
export function reportFailure(program: string, error: unknown, io: Io): number {
  // What was printed before the failure comes before the message.
  io.out.flush();
  const failure = describeFailure(error);
  const { err } = io;
  err.text(`${err.style(["bold", "red"], `${program}:`)} ${failure.message}\n`);
  if (failure.hint !== undefined) err.text(`${err.style("dim", `hint: ${failure.hint}`)}\n`);
  err.flush();
  if (program === "composefs" || failure.status === EXIT.interrupted) return failure.status;
  // cfsctl tells mistakes on its command line, and nothing else, from other failures.
  const isUsage = error instanceof ComposefsError && error.code === "usage";
  if (program === "cfsctl" && isUsage) return EXIT.usage;
  // The commands that stand in for C's know one failure; scripts test for exactly 1.
  return EXIT.failure;
}
