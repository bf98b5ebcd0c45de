/** From a failed system call to what the user hears: which of the four things went wrong, and why. */

import type { ErrorCode } from "../../core/errors.ts";
import { SyscallError, describeErrno } from "../../floor/mod.ts";
import type { EntryFailure } from "./tasks.ts";

/** Thrown where an entry cannot be read or an object not be written; becomes an `EntryFailure`. */
export class ReadFailure extends Error {
  readonly code: EntryFailure["code"] & ErrorCode;
  readonly hint: string | undefined;

  constructor(code: EntryFailure["code"], reason: string, hint?: string) {
    super(reason);
    this.code = code;
    this.hint = hint;
  }
}

/** The file is not what it was a moment ago. */
export function changed(): ReadFailure {
  return new ReadFailure(
    "source-changed",
    "it changed while it was read",
    "make a snapshot, or stop what writes to the tree",
  );
}

const OPEN_FILES_HINT: Readonly<Record<string, string>> = {
  EMFILE: "allow more open files (ulimit -n)",
  ENFILE: "allow more open files (ulimit -n)",
};

/** What a system call on a file of the tree failed with. */
export function readFailure(error: SyscallError): ReadFailure {
  const { errnoName } = error;
  if (errnoName === "ENOENT" || errnoName === "ESTALE") {
    return new ReadFailure("source-changed", "it vanished while the tree was read");
  }
  // Not what its directory said it was: a symlink or a socket in the place of a file, say.
  if (["ELOOP", "ENXIO", "ENOTDIR"].includes(errnoName)) return changed();
  const reason = `${describeErrno(error.errno)} (${errnoName})`;
  return new ReadFailure("source-unreadable", reason, OPEN_FILES_HINT[errnoName]);
}

const STORE_HINT: Readonly<Record<string, string>> = {
  ...OPEN_FILES_HINT,
  ENOSPC: "make room on its file system",
  EDQUOT: "make room on its file system",
};

/** What a system call on the store failed with. */
export function storeFailure(error: SyscallError): ReadFailure {
  const { errno, errnoName, syscall } = error;
  return new ReadFailure(
    "store-failed",
    `${syscall}: ${describeErrno(errno)} (${errnoName})`,
    STORE_HINT[errnoName],
  );
}

/**
 * As data for another thread; `entry` is the one that was being read. Anything else than a failed call
 * is a bug of ours and thrown.
 */
export function describeFailure(error: unknown, entry: number | undefined): EntryFailure {
  const failure = error instanceof SyscallError ? readFailure(error) : error;
  if (!(failure instanceof ReadFailure)) throw failure;
  // Objects are written some entries later than they are read, and the store is to blame anyway.
  const guilty = failure.code === "store-failed" ? undefined : entry;
  return { code: failure.code, reason: failure.message, hint: failure.hint, entry: guilty };
}

/** Runs system calls on the store, so that their failure is not taken for the source's. */
export function onStore<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof SyscallError ? storeFailure(error) : error;
  }
}
