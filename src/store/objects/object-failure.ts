/** Why an object could not be stored, from a failed system call to what people hear. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { SyscallError, describeErrno } from "../../floor/mod.ts";

const HINT: Readonly<Record<string, string>> = {
  EMFILE: "allow more open files (ulimit -n)",
  ENFILE: "allow more open files (ulimit -n)",
  ENOSPC: "make room on its file system",
  EDQUOT: "make room on its file system",
};

/** Thrown where an object cannot be stored: the bare reason, without the path of the store. */
export class ObjectFailure extends Error {
  readonly code: ErrorCode & ("store-failed" | "object-corrupt" | "verity-missing");
  readonly hint: string | undefined;

  constructor(
    reason: string,
    options: {
      readonly code?: ObjectFailure["code"];
      readonly hint?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(reason, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code ?? "store-failed";
    this.hint = options.hint;
  }
}

/** What a system call on the store failed with. */
function storeFailure(error: SyscallError): ObjectFailure {
  const { errno, errnoName, syscall } = error;
  const reason = `${syscall}: ${describeErrno(errno)} (${errnoName})`;
  return new ObjectFailure(reason, { hint: HINT[errnoName], cause: error });
}

/** A failed call or a failure as a failure; anything else is a bug of ours and thrown. */
export function asObjectFailure(error: unknown): ObjectFailure {
  const failure = error instanceof SyscallError ? storeFailure(error) : error;
  if (!(failure instanceof ObjectFailure)) throw failure;
  return failure;
}

/** Runs system calls on the store, so that their failure is not taken for the source's. */
export function onStore<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof SyscallError ? storeFailure(error) : error;
  }
}

/** A failure, a failed call among them, as an error about the store at `path`; else `error` itself. */
export function asStoreError(path: ByteString, error: unknown): unknown {
  const failure = error instanceof SyscallError ? storeFailure(error) : error;
  return failure instanceof ObjectFailure ? storeError(path, failure) : error;
}

/** A failure as an error about the store at `path`. */
export function storeError(
  path: ByteString,
  failure: {
    readonly code?: ErrorCode;
    readonly message: string;
    readonly hint?: string | undefined;
  },
): ComposefsError {
  const { code = "store-failed", message, hint } = failure;
  const cause = failure instanceof Error ? failure.cause : undefined;
  return new ComposefsError(code, `Cannot store objects in "${displayText(path)}": ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}
