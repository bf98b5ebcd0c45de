/**
 * Which digests this run has met: one set for all threads.
 *
 * An open-addressing table in shared memory. A digest is written to a place of its own first and
 * becomes visible by one atomic exchange, so that no thread ever waits for another.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";

/** Digests that fit; a tree with more is still right, it writes some duplicates twice. */
const CAPACITY = 1 << 20;
/** Twice as many slots as digests, so that chains stay short. */
const SLOTS = 2 * CAPACITY;
/** 32-bit words of a digest that count: all of sha256, and of sha512 as many, which is enough. */
const DIGEST_WORDS = 8;

/** The set of digests, as one thread sees it. */
export class DigestClaims {
  /** The memory behind the set: hand it to another thread's `DigestClaims`. Zero pages cost nothing. */
  readonly memory: SharedArrayBuffer;
  /** The number of digests, then the slots: 0, or the number of a digest counted from 1. */
  readonly #slots: Int32Array;
  readonly #digests: Int32Array;
  /** The digest that is asked for, as bytes and as words. */
  readonly #bytes = Buffer.allocUnsafeSlow(4 * DIGEST_WORDS);
  readonly #words = new Int32Array(this.#bytes.buffer);

  constructor(memory?: SharedArrayBuffer) {
    const slotBytes = (1 + SLOTS) * 4;
    this.memory = memory ?? new SharedArrayBuffer(slotBytes + CAPACITY * DIGEST_WORDS * 4);
    this.#slots = new Int32Array(this.memory, 0, 1 + SLOTS);
    this.#digests = new Int32Array(this.memory, slotBytes);
  }

  /** Whether this is the first time that any thread claims `digest`. */
  claim(digest: FsVerityDigest): boolean {
    const words = this.#words;
    this.#bytes.write(digest, "hex");
    let mine = 0;
    for (let slot = (words[0]! >>> 0) % SLOTS; ; slot = (slot + 1) % SLOTS) {
      let found = Atomics.load(this.#slots, 1 + slot);
      if (found === 0) {
        mine ||= this.#write(words);
        if (mine === 0) return true;
        found = Atomics.compareExchange(this.#slots, 1 + slot, 0, mine);
        if (found === 0) return true;
      }
      if (this.#holds(found, words)) return false;
    }
  }

  /** Writes a digest to the next free place; returns its number, or 0 if all places are taken. */
  #write(words: Int32Array): number {
    const place = Atomics.add(this.#slots, 0, 1);
    if (place >= CAPACITY) return 0;
    this.#digests.set(words, place * DIGEST_WORDS);
    return place + 1;
  }

  #holds(number: number, words: Int32Array): boolean {
    const start = (number - 1) * DIGEST_WORDS;
    for (let i = 0; i < DIGEST_WORDS; i++) {
      if (this.#digests[start + i] !== words[i]) return false;
    }
    return true;
  }
}
