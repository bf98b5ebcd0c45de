/**
 * Text of one byte a unit, written into a buffer that grows.
 *
 * Joining strings makes ropes, which are flattened, then encoded, then thrown away: for the dump of
 * 115,000 entries twice the time of writing each character once.
 */

import type { ByteString } from "./byte-string.ts";

const INITIAL_SIZE = 1 << 16;
const DIGIT_ZERO = 0x30;

/** Collects text; `take` hands it out. */
export class TextWriter {
  #bytes: Uint8Array = new Uint8Array(INITIAL_SIZE);
  #length = 0;

  /** Bytes that wait for `take`. */
  get length(): number {
    return this.#length;
  }

  /** Writes a text whose units are all below 256. */
  text(value: string): void {
    this.#reserve(value.length);
    const bytes = this.#bytes;
    const start = this.#length;
    for (let i = 0; i < value.length; i++) bytes[start + i] = value.charCodeAt(i);
    this.#length = start + value.length;
  }

  /**
   * Writes units of `value` from `start` on for as long as `plain` has a 1 for them. Returns the place
   * of the first that was not written, or the length.
   */
  textWhile(value: ByteString, start: number, plain: Uint8Array): number {
    this.#reserve(value.length - start);
    const bytes = this.#bytes;
    let at = this.#length;
    let i = start;
    for (; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (plain[code] !== 1) break;
      bytes[at++] = code;
    }
    this.#length = at;
    return i;
  }

  /** Writes an integer; for bases up to 10. */
  integer(value: number, base: 8 | 10): void {
    if (!(value >= 0 && value <= 0x7fff_ffff)) return this.text(value.toString(base));
    let digits = 1;
    for (let limit = base; limit <= value; limit *= base) digits++;
    this.#reserve(digits);
    this.#length += digits;
    let rest = value | 0;
    for (let at = this.#length - 1; digits > 0; digits--, at--) {
      const next = (rest / base) | 0;
      this.#bytes[at] = DIGIT_ZERO + rest - next * base;
      rest = next;
    }
  }

  /** Returns all that was written, in a buffer of its own, and starts anew. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
