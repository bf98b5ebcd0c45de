/**
 * Tells people about a failure: on standard error, with what to try next.
 */

import { EXIT, describeFailure } from "./exit.ts";
import type { Io } from "./io.ts";

/** Prints an error and returns the exit status for it. */
export function reportFailure(program: string, error: unknown, io: Io): number {
  // What was printed before the failure comes before the message.
  io.out.flush();
  const failure = describeFailure(error);
  const { err } = io;
  err.text(`${err.style(["bold", "red"], `${program}:`)} ${failure.message}\n`);
  if (failure.hint !== undefined) err.text(`${err.style("dim", `hint: ${failure.hint}`)}\n`);
  err.flush();
  // The commands that stand in for C's know one failure; scripts test for exactly 1.
  if (program !== "composefs" && failure.status !== EXIT.interrupted) return EXIT.failure;
  return failure.status;
}
