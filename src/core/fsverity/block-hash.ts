/**
 * The hash function that the Merkle tree is made with: injected, because platforms differ in it.
 */

import type { FsVerityAlgorithm } from "./digest.ts";

/**
 * A hash function over many independent blocks: what a platform, or an accelerator, has to offer.
 */
export interface BlockHash {
  readonly algorithm: FsVerityAlgorithm;
  /**
   * Hashes each of the `blocks.length / blockSize` whole blocks in `blocks` and writes the digests
   * one after the other to the start of `out`, which is large enough and does not overlap `blocks`.
   */
  hashBlocks(blocks: Uint8Array, blockSize: number, out: Uint8Array): void;
}

/** The block size of every composefs tool. */
export const FS_VERITY_BLOCK_SIZE = 4096;

/** Options of everything that computes fs-verity digests. */
export interface FsVerityOptions {
  /** Bytes of a block, a power of two from 1024 to 65536; 4096 unless told. */
  readonly blockSize?: number;
}

/** Returns the block size of the options. Throws a `RangeError` for one that fs-verity has not. */
export function chosenBlockSize(options: FsVerityOptions): number {
  const blockSize = options.blockSize ?? FS_VERITY_BLOCK_SIZE;
  if (!Number.isInteger(Math.log2(blockSize)) || blockSize < 1024 || blockSize > 65536) {
    throw new RangeError(
      `"blockSize" expected a power of two from 1024 to 65536, got ${blockSize}`,
    );
  }
  return blockSize;
}
