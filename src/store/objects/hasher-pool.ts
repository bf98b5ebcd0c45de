/** Hashers that are used again: a new one for each small file costs more than its hash. */

import type { FsVerityAlgorithm } from "../../core/fsverity/digest.ts";
import { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { blockHash } from "../../floor/mod.ts";

/** The hashers of one thread. */
export class HasherPool {
  readonly #algorithm: FsVerityAlgorithm;
  readonly #free: FsVerityHasher[] = [];

  constructor(algorithm: FsVerityAlgorithm) {
    this.#algorithm = algorithm;
  }

  /** A hasher as new. */
  take(): FsVerityHasher {
    return this.#free.pop() ?? new FsVerityHasher(blockHash(this.#algorithm));
  }

  /** Gives one back, whatever it has been fed. */
  release(hasher: FsVerityHasher): void {
    hasher.digest();
    this.#free.push(hasher);
  }
}
