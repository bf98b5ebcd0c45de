/** A list of fs-verity digests of one algorithm, as compact as their bytes. */

import { DIGEST_SIZE, fsVerityDigestFrom, writeDigest } from "../../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";

/** Digests in the order in which they were added. */
export class DigestList implements Iterable<FsVerityDigest> {
  readonly #digestSize: number;
  #bytes = new Uint8Array(4096);
  #length = 0;

  constructor(algorithm: FsVerityAlgorithm) {
    this.#digestSize = DIGEST_SIZE[algorithm];
  }

  get length(): number {
    return this.#length;
  }

  add(digest: FsVerityDigest): void {
    const at = this.#length * this.#digestSize;
    if (at + this.#digestSize > this.#bytes.length) {
      const bytes = new Uint8Array(this.#bytes.length * 2);
      bytes.set(this.#bytes);
      this.#bytes = bytes;
    }
    writeDigest(digest, this.#bytes, at);
    this.#length++;
  }

  *[Symbol.iterator](): Generator<FsVerityDigest, void> {
    for (let index = 0; index < this.#length; index++) {
      const at = index * this.#digestSize;
      yield fsVerityDigestFrom(this.#bytes.subarray(at, at + this.#digestSize));
    }
  }
}
