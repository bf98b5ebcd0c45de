/**
 * What a failed system call becomes: call, path, errno, and the reason in words.
 *
 * This room imports nothing of ours, so the class stands on its own; it has the `code` and `hint` of
 * every other error of the package.
 */

import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";

/** `errno` by name, as the kernel has them on this machine. */
export const ERRNO: Readonly<Record<string, number>> = constants.errno;

const NAME_OF_ERRNO = new Map<number, string>(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
);

/** What mounting gives and Node does not know; the same numbers on every architecture we run on. */
const MORE_ERRORS = new Map<number, readonly [name: string, words: string]>([
  [15, ["ENOTBLK", "block device required"]],
  [117, ["EUCLEAN", "structure needs cleaning"]],
]);

/** A system call that failed. */
export class SyscallError extends Error {
  override readonly name = "SyscallError";
  readonly code = "syscall-failed";
  /** The call: `openat`, `fsconfig`, … */
  readonly syscall: string;
  /** Positive errno. */
  readonly errno: number;
  /** `ENOENT`, `EPERM`, …; `E<number>` where it has no name. */
  readonly errnoName: string;
  /** What the call was about, already fit for people to read; empty where there is nothing to name. */
  readonly subject: string;
  readonly hint: string | undefined;

  constructor(syscall: string, errno: number, subject = "", hint?: string) {
    const name = NAME_OF_ERRNO.get(errno) ?? MORE_ERRORS.get(errno)?.[0] ?? `E${errno}`;
    super(
      `Cannot ${syscall}${subject === "" ? "" : ` "${subject}"`}: ${describeErrno(errno)} (${name})`,
    );
    this.syscall = syscall;
    this.errno = errno;
    this.errnoName = name;
    this.subject = subject;
    this.hint = hint;
  }
}

/** Whether an error is a failed system call with one of these errno names. */
export function isErrno(error: unknown, ...names: readonly string[]): error is SyscallError {
  return error instanceof SyscallError && names.includes(error.errnoName);
}

/** The reason in words: `no such file or directory`. */
export function describeErrno(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? MORE_ERRORS.get(errno)?.[1] ?? `error ${errno}`;
}
