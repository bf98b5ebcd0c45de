/** The hash function that tests of `core` hand in. */

import { hash } from "node:crypto";
import type { BlockHash, FsVerityAlgorithm } from "#src/core/mod.ts";

/** One call of the platform's hash function a block. */
export function nodeHash(algorithm: FsVerityAlgorithm): BlockHash {
  return {
    algorithm,
    hashBlocks(blocks, blockSize, out) {
      for (let at = 0, to = 0; at < blocks.length; at += blockSize) {
        const digest = hash(algorithm, blocks.subarray(at, at + blockSize), "buffer");
        out.set(digest, to);
        to += digest.length;
      }
    },
  };
}
