/** Reading archives in tests: entries, or the error. */

import { Buffer } from "node:buffer";
import { expect } from "vitest";
import { TarError } from "#src/core/mod.ts";
import type { TarReaderOptions } from "#src/core/mod.ts";
import { readArchive } from "../../support/tar-bytes.ts";
import type { ReadEntry } from "../../support/tar-bytes.ts";

export function only(bytes: Uint8Array, options: TarReaderOptions = {}): ReadEntry {
  const { entries, replay } = readArchive(bytes, options);
  expect(replay.equals(bytes)).toBe(true);
  expect(entries).toHaveLength(1);
  return entries[0]!;
}

export function readError(bytes: Uint8Array, options: TarReaderOptions = {}): TarError {
  try {
    readArchive(bytes, options);
  } catch (error) {
    expect(error).toBeInstanceOf(TarError);
    return error as TarError;
  }
  throw new Error("the archive was read without an error");
}

/** A number in base-256, as `length` bytes. */
export function base256(value: bigint, length: number): string {
  let out = "";
  for (let i = 0; i < length; i++) {
    out = String.fromCharCode(Number((value >> BigInt(8 * i)) & 0xffn)) + out;
  }
  return String.fromCharCode(out.charCodeAt(0) | 0x80) + out.slice(1);
}

export const xattrsOf = (entry: ReadEntry): Record<string, string> =>
  Object.fromEntries(
    [...entry.xattrs].map(([key, value]) => [key, Buffer.from(value).toString("latin1")]),
  );
