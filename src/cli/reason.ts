/**
 * Why something failed, in the words that people and scripts know from C: `No such file or directory`.
 */

import { SyscallError, describeErrno } from "../floor/errors.ts";

/** The reason of an error without what was done to what: the caller says that better. */
export function reasonOf(error: unknown): string {
  const errno = errnoOf(error);
  if (errno === undefined) return error instanceof Error ? error.message : String(error);
  const text = describeErrno(errno);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** The positive errno of a failed system call, ours or Node's, or of what it caused. */
export function errnoOf(error: unknown): number | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof SyscallError) return at.errno;
    const { errno } = at as NodeJS.ErrnoException;
    if (typeof errno === "number") return Math.abs(errno);
  }
  return undefined;
}
