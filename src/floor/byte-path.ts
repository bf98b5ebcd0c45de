/**
 * Paths and names on their way to the kernel and to people.
 *
 * A path here is a string with one byte in each code unit (0 to 255), so that any name survives. This
 * room imports nothing of ours; the byte strings of `core` fit without conversion.
 */

import { ERRNO, SyscallError } from "./errors.ts";

/** A path or name: one byte in each code unit, no NUL. */
export type BytePath = string;

/** Twice PATH_MAX: a longer path is refused here as the kernel would refuse it. */
const SCRATCH_SIZE = 8192;

/** Below this length a loop is faster than a call into the runtime (8 ns against 55 ns). */
const LOOP_LIMIT = 40;

const scratch = [Buffer.alloc(SCRATCH_SIZE), Buffer.alloc(SCRATCH_SIZE)] as const;

/**
 * Returns `path` with a NUL behind it, in a buffer that the next call with the same `slot` overwrites.
 * A call that takes two paths uses both slots.
 */
export function kernelPath(syscall: string, path: BytePath, slot: 0 | 1 = 0): Uint8Array {
  const buffer = scratch[slot];
  const length = path.length;
  if (length >= SCRATCH_SIZE) {
    throw new SyscallError(syscall, ERRNO["ENAMETOOLONG"]!, displayPath(path));
  }
  if (length < LOOP_LIMIT) {
    for (let i = 0; i < length; i++) buffer[i] = path.charCodeAt(i);
  } else {
    buffer.write(path, 0, "latin1");
  }
  // A NUL inside would name another file than the caller means.
  if (path.includes("\0")) throw new SyscallError(syscall, ERRNO["EINVAL"]!, displayPath(path));
  buffer[length] = 0;
  return buffer;
}

/** Decodes a path for people: UTF-8 where it is; else, and for control characters, `\xNN`. */
export function displayPath(path: BytePath): string {
  if (/^[\x20-\x5b\x5d-\x7e]*$/.test(path)) return path;
  const text = new TextDecoder().decode(Buffer.from(path, "latin1"));
  if (!/[\p{Cc}\\\ufffd]/u.test(text)) return text;
  return path.replace(
    /[^\x20-\x5b\x5d-\x7e]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
