/** The errors of a scan that name a path of the tree. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { SyscallError, isErrno } from "../../floor/mod.ts";
import { ReadFailure, readFailure } from "./entry-failure.ts";

/** The root is there, or it never was; that it vanished is not what to say first. */
export function asRootError(path: ByteString, error: unknown): unknown {
  if (isErrno(error, "ENOTDIR", "ELOOP")) {
    return cannotRead(path, { code: "source-unreadable", reason: "it is not a directory" }, error);
  }
  if (isErrno(error, "ENOENT")) {
    return cannotRead(path, { code: "source-unreadable", reason: "it does not exist" }, error);
  }
  return asReadError(path, error);
}

/** A failed call, or what a thread would report, as an error about `path`; else `error` itself. */
export function asReadError(path: ByteString, error: unknown): unknown {
  const failure = error instanceof SyscallError ? readFailure(error) : error;
  if (!(failure instanceof ReadFailure)) return error;
  return cannotRead(
    path,
    { code: failure.code, reason: failure.message, hint: failure.hint },
    error,
  );
}

/** What went wrong with the entry `path`. */
export function cannotRead(
  path: ByteString,
  failure: {
    readonly code: ErrorCode;
    readonly reason: string;
    readonly hint?: string | undefined;
  },
  cause?: unknown,
): ComposefsError {
  const { code, reason, hint } = failure;
  return new ComposefsError(code, `Cannot read "${displayText(path)}": ${reason}`, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The path of an entry, for people. */
export function joinPath(directory: ByteString, name: ByteString): ByteString {
  return `${directory}${directory.endsWith("/") ? "" : "/"}${name}` as ByteString;
}
