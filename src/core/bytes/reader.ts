/**
 * Bounds-checked little-endian reading from a byte source, by absolute offset.
 *
 * Every offset in a hostile file is a claim. Here each access is checked against the size of the
 * source, and a claim that does not hold becomes the error that the format's room hands in: never a
 * `RangeError`, never a silent zero.
 */

import { EMPTY, byteStringFrom } from "./byte-string.ts";
import type { ByteString } from "./byte-string.ts";
import type { ByteSource } from "./source.ts";

/** Bytes that are fetched, and kept, at a time. */
const BLOCK_SIZE = 4096;
/** Blocks that are kept: 1 MiB, enough to walk between a directory and its inodes without reading twice. */
const KEPT_BLOCKS = 256;

/** Up to this length a string is made of an array that is kept: twice as fast as of a new view. */
const SHORT = 256;
const SCRATCH: (number[] | undefined)[] = [];

/** Reads numbers and bytes anywhere in a source; fetches whole blocks and keeps the last ones. */
export class SourceReader {
  /** Bytes of the source. */
  readonly size: number;
  readonly #source: ByteSource;
  readonly #outOfRange: (offset: number, length: number) => Error;
  readonly #blocks = new Map<number, Uint8Array>();
  /** The bytes at hand: those from `#start` on. */
  #window: Uint8Array = new Uint8Array(0);
  #start = 0;

  /** `outOfRange` makes the error for a range that is not, or not wholly, inside the source. */
  constructor(source: ByteSource, outOfRange: (offset: number, length: number) => Error) {
    this.size = source.size;
    this.#source = source;
    this.#outOfRange = outOfRange;
  }

  u8(offset: number): number {
    const at = this.#locate(offset, 1);
    return this.#window[at]!;
  }

  u16(offset: number): number {
    const at = this.#locate(offset, 2);
    const bytes = this.#window;
    return bytes[at]! | (bytes[at + 1]! << 8);
  }

  u32(offset: number): number {
    const at = this.#locate(offset, 4);
    const bytes = this.#window;
    return (
      (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
    );
  }

  /** A 64-bit number as a double: exact up to 2^53, above that only good for comparing. */
  u64(offset: number): number {
    return this.u32(offset + 4) * 2 ** 32 + this.u32(offset);
  }

  /** A signed 64-bit number. */
  i64(offset: number): bigint {
    const high = this.u32(offset + 4) | 0;
    const low = this.u32(offset);
    // Through a double where that is exact: shifting bigints costs three more of them.
    if (high >= -0x20_0000 && high < 0x20_0000) return BigInt(high * 2 ** 32 + low);
    return (BigInt(high) << 32n) | BigInt(low);
  }

  /** Bytes as a byte string. */
  text(offset: number, length: number): ByteString {
    if (length === 0) return EMPTY;
    const at = this.#locate(offset, length);
    if (length > SHORT) return byteStringFrom(this.#window.subarray(at, at + length));
    const codes = (SCRATCH[length] ??= new Array<number>(length).fill(0));
    for (let i = 0; i < length; i++) codes[i] = this.#window[at + i]!;
    return String.fromCharCode.apply(null, codes) as ByteString;
  }

  /** Whether the bytes at `offset` are those of `value` from `from` on. */
  holds(offset: number, value: ByteString, from: number): boolean {
    const at = this.#locate(offset, value.length - from) - from;
    for (let i = from; i < value.length; i++) {
      if (this.#window[at + i] !== value.charCodeAt(i)) return false;
    }
    return true;
  }

  /** A copy of the bytes, which the caller may keep. */
  copy(offset: number, length: number): Uint8Array {
    return this.view(offset, length).slice();
  }

  /** The bytes themselves, valid until the next call of any method. */
  view(offset: number, length: number): Uint8Array {
    const at = this.#locate(offset, length);
    return this.#window.subarray(at, at + length);
  }

  /**
   * Runs `work` with the whole source in memory, which makes each access a comparison and an array
   * read; a source of more than `limit` bytes is read block by block all the same.
   */
  withWhole<T>(limit: number, work: () => T): T {
    if (this.size > limit) return work();
    // The view lives until the next call on the source; nothing calls it before `work` is done.
    const { buffer, byteOffset, length } = this.#source.read(0, this.size);
    // A subclass of Uint8Array (Node's Buffer) would make each `subarray` four times as slow.
    this.#window = new Uint8Array(buffer, byteOffset, length);
    this.#start = 0;
    try {
      return work();
    } finally {
      this.#window = new Uint8Array(0);
    }
  }

  /** Makes sure that the range is in the window; returns where it starts there. */
  #locate(offset: number, length: number): number {
    const at = offset - this.#start;
    if (at >= 0 && at + length <= this.#window.length) return at;
    return this.#load(offset, length);
  }

  #load(offset: number, length: number): number {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw this.#outOfRange(offset, length);
    }
    const start = offset - (offset % BLOCK_SIZE);
    if (offset + length <= start + BLOCK_SIZE) {
      this.#window = this.#block(start);
    } else {
      const end = Math.min(Math.ceil((offset + length) / BLOCK_SIZE) * BLOCK_SIZE, this.size);
      this.#window = this.#source.read(start, end - start).slice();
    }
    this.#start = start;
    return offset - start;
  }

  #block(start: number): Uint8Array {
    const kept = this.#blocks.get(start);
    if (kept !== undefined) return kept;
    const length = Math.min(BLOCK_SIZE, this.size - start);
    const block = this.#source.read(start, length).slice();
    if (this.#blocks.size >= KEPT_BLOCKS) {
      for (const oldest of this.#blocks.keys()) {
        this.#blocks.delete(oldest);
        break;
      }
    }
    this.#blocks.set(start, block);
    return block;
  }
}
