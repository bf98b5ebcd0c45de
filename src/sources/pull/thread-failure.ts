/** Errors on their way from one thread to another, which keeps nothing of an error's class. */

import { ComposefsError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { SyscallError } from "../../floor/mod.ts";

/** An error as plain data. */
export type ThreadFailure =
  | {
      readonly kind: "expected";
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
      readonly cause: ThreadFailure | undefined;
    }
  | {
      readonly kind: "syscall";
      readonly syscall: string;
      readonly errno: number;
      readonly subject: string;
      readonly hint: string | undefined;
    }
  /** Anything else is a bug. */
  | { readonly kind: "unexpected"; readonly error: unknown };

/** Takes an error apart. */
export function describeThreadFailure(error: unknown): ThreadFailure {
  if (error instanceof SyscallError) {
    const { syscall, errno, subject, hint } = error;
    return { kind: "syscall", syscall, errno, subject, hint };
  }
  if (!(error instanceof ComposefsError)) return { kind: "unexpected", error };
  const { code, message, hint, cause } = error;
  const described = cause === undefined ? undefined : describeThreadFailure(cause);
  return { kind: "expected", code, message, hint, cause: described };
}

/** Puts it together again. */
export function reviveThreadFailure(failure: ThreadFailure): unknown {
  switch (failure.kind) {
    case "unexpected":
      return failure.error;
    case "syscall":
      return new SyscallError(failure.syscall, failure.errno, failure.subject, failure.hint);
    case "expected": {
      const { code, message, hint, cause } = failure;
      return new ComposefsError(code, message, {
        ...(hint === undefined ? {} : { hint }),
        ...(cause === undefined ? {} : { cause: reviveThreadFailure(cause) }),
      });
    }
  }
}
