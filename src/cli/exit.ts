/**
 * From an error to what people see of it: exit status, message, hint.
 *
 * The statuses are a contract (docs/errors.md and the man pages repeat it). The commands that stand
 * in for C's know only 0 and 1; report.ts sees to that.
 */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import type { ErrorCode } from "../core/errors.ts";
import { SyscallError } from "../floor/errors.ts";
import { reasonOf } from "./output/reason.ts";

/** Exit statuses of `composefs`. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  different: 3,
  missing: 4,
  verity: 5,
  damaged: 6,
  interrupted: 130,
} as const;

/** What each exit status says, for the man page and docs/errors.md. */
export const EXIT_MEANINGS: readonly (readonly [status: number, meaning: string])[] = [
  [EXIT.ok, "Done; for `diff`, no difference; for `lint`, no error."],
  [EXIT.failure, "It could not be done; the message says what, to what, and why."],
  [EXIT.usage, "The command line makes no sense; nothing was done."],
  [EXIT.different, "`diff` found differences."],
  [EXIT.missing, "`missing` found that objects are missing."],
  [
    EXIT.verity,
    "fs-verity or a seal was asked for, and what should have it has none, or another one.",
  ],
  [EXIT.damaged, "`repo fsck` or `repo gc` found damage in a repository, and some of it is left."],
  [EXIT.interrupted, "Interrupted; what was half written is gone."],
];

/** Exit statuses of the commands that stand in for C's. */
export const DROP_IN_EXIT_MEANINGS: readonly (readonly [status: number, meaning: string])[] = [
  [0, "Done."],
  [1, "It could not be done, or the command line makes no sense; the message says why."],
  [130, "Interrupted; what was half written is gone."],
];

/** An error as it is shown. */
export interface Failure {
  readonly status: number;
  /** Lines fit for a terminal: no control characters out of names. */
  readonly message: string;
  /** What to try next, or nothing. */
  readonly hint: string | undefined;
}

/** Thrown when the user asked to stop. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** Says what an error means for the user: the one place that decides it. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof Interrupted || isAbort(error)) {
    return { status: EXIT.interrupted, message: "Interrupted", hint: undefined };
  }
  if (error instanceof ComposefsError || error instanceof SyscallError) {
    const { code, hint, message } = error;
    return { status: statusOf(code), message: printable(message), hint: hint ?? hintFor(error) };
  }
  if (isSystemError(error)) {
    // A call of Node's that nobody has wrapped: the message is short, but it is no bug.
    const { syscall, path } = error;
    const subject = path === undefined ? "" : ` "${path}"`;
    const message = `Cannot ${syscall}${subject}: ${reasonOf(error)}`;
    const name = findErrnoName(error);
    const hint = name === undefined ? undefined : HINT_OF_ERRNO[name];
    return { status: EXIT.failure, message: printable(message), hint };
  }
  const text = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  return {
    status: EXIT.failure,
    message: `Internal error: ${printable(text)}`,
    hint: "this is a bug of composefs; please report it with the lines above",
  };
}

function statusOf(code: ErrorCode): number {
  switch (code) {
    case "usage":
    case "invalid-mount-options":
      return EXIT.usage;
    case "verity-missing":
    case "verity-mismatch":
    case "invalid-signature":
      return EXIT.verity;
    default:
      return EXIT.failure;
  }
}

/** What to try, for errors that come without a hint of their own. */
function hintFor(error: ComposefsError | SyscallError): string | undefined {
  const errnoName = findErrnoName(error);
  switch (error.code) {
    case "not-erofs":
      return "is it a dump file? `composefs lint` reads those";
    case "not-composefs":
      return "composefs images are made by `composefs mk`";
    case "corrupt-image":
      return "`composefs explain` shows what lies at each offset";
    case "verity-missing":
      return "enable it with `fsverity enable IMAGE`, or mount without a digest";
    case "unsupported-platform":
      return "composefs needs Linux on x86-64 or arm64";
    default:
      return errnoName === undefined ? undefined : HINT_OF_ERRNO[errnoName];
  }
}

const HINT_OF_ERRNO: Readonly<Record<string, string>> = {
  EACCES: "look at the permissions of the file and of all directories above it",
  EPERM: "this may need root, or a capability that this process does not have",
  ENOSPC: "free some space, or choose another file system",
  EDQUOT: "the disk quota is used up",
  EROFS: "choose a place on a file system that is not read-only",
  EMFILE: "raise the limit of open files (`ulimit -n`)",
};

function findErrnoName(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof SyscallError) return at.errnoName;
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return code;
  }
  return undefined;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "errno" in error;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/** Keeps the line breaks of a message, and shows every other control character as `\xNN`. */
function printable(message: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return message.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/g, (c) => displayText(c as ByteString));
}
