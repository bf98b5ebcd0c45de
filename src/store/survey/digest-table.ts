/**
 * A set of fs-verity digests that numbers them, for repositories with millions of objects: 28 bytes a
 * digest and no object of the garbage collector's, where a `Map` with strings takes 250.
 *
 * It keeps the first 128 bits of each digest. Two digests that share them are taken for one: nobody
 * can make such a pair, and here the worst that it did would be to keep an object too many.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";

/** 32-bit words that are kept of a digest, and the hexadecimal digits of one. */
const WORDS = 4;
const DIGITS = 8;

const FIRST_CAPACITY = 1024;

/** Digests, numbered from 0 in the order in which they came. */
export class DigestTable {
  #words = new Uint32Array(FIRST_CAPACITY * WORDS);
  /** Open addressing: the number of a digest and one, or 0. Twice as many places as digests. */
  #places = new Uint32Array(2 * FIRST_CAPACITY);
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds a digest; returns its number, be it old or new. */
  add(digest: FsVerityDigest): number {
    const place = this.#placeOf(digest);
    const known = this.#places[place]!;
    if (known !== 0) return known - 1;
    this.#words.set(query, this.#size * WORDS);
    this.#size++;
    this.#places[place] = this.#size;
    if (this.#size * WORDS === this.#words.length) this.#grow();
    return this.#size - 1;
  }

  /** The number of a digest; -1 if it is not there. */
  indexOf(digest: FsVerityDigest): number {
    return this.#places[this.#placeOf(digest)]! - 1;
  }

  has(digest: FsVerityDigest): boolean {
    return this.indexOf(digest) >= 0;
  }

  /** Where a digest is, or would be; leaves its words in `query`. */
  #placeOf(digest: FsVerityDigest): number {
    for (let i = 0; i < WORDS; i++) {
      query[i] = Number.parseInt(digest.slice(i * DIGITS, (i + 1) * DIGITS), 16);
    }
    const mask = this.#places.length - 1;
    // Digests are random already.
    for (let place = query[0]! & mask; ; place = (place + 1) & mask) {
      const number = this.#places[place]!;
      if (number === 0 || this.#isAt(number - 1)) return place;
    }
  }

  #isAt(index: number): boolean {
    const at = index * WORDS;
    for (let i = 0; i < WORDS; i++) if (this.#words[at + i] !== query[i]) return false;
    return true;
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
    this.#places = new Uint32Array(this.#places.length * 2);
    const mask = this.#places.length - 1;
    for (let index = 0; index < this.#size; index++) {
      let place = words[index * WORDS]! & mask;
      while (this.#places[place] !== 0) place = (place + 1) & mask;
      this.#places[place] = index + 1;
    }
  }
}

/** The words of the digest that is looked for. */
const query = new Uint32Array(WORDS);
