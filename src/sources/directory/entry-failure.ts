/** From a failed system call to what the user hears: which of the things went wrong, and why. */

import type { ErrorCode } from "../../core/errors.ts";
import { SyscallError, describeErrno } from "../../floor/mod.ts";
import { ObjectFailure } from "../../store/objects/object-failure.ts";
import type { EntryFailure } from "./tasks.ts";

/** Thrown where an entry cannot be read; becomes an `EntryFailure`. */
export class ReadFailure extends Error {
  readonly code: ErrorCode & ("source-changed" | "source-unreadable" | "invalid-tree");
  readonly hint: string | undefined;

  constructor(code: ReadFailure["code"], reason: string, hint?: string) {
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

/**
 * As data for another thread; `entry` is the one that was being read. Anything else than a failed call
 * is a bug of ours and thrown.
 */
export function describeFailure(error: unknown, entry: number | undefined): EntryFailure {
  // Objects are written some entries later than they are read, and the store is to blame anyway.
  if (error instanceof ObjectFailure) return describeObjectFailure(error);
  const failure = error instanceof SyscallError ? readFailure(error) : error;
  if (!(failure instanceof ReadFailure)) throw failure;
  return { code: failure.code, reason: failure.message, hint: failure.hint, entry };
}

/** A failure of the store as data for another thread. */
export function describeObjectFailure(failure: ObjectFailure): EntryFailure {
  const { code, hint } = failure;
  return { code, reason: failure.message, hint, entry: undefined };
}

/** What another thread has described, to be thrown here. */
export function asFailure({ code, reason, hint }: EntryFailure): ReadFailure | ObjectFailure {
  switch (code) {
    case "source-changed":
    case "source-unreadable":
    case "invalid-tree":
      return new ReadFailure(code, reason, hint);
    default:
      return new ObjectFailure(reason, { code, hint });
  }
}
