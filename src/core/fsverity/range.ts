/**
 * The fs-verity digest of a large file out of ranges that are hashed apart, by several threads say.
 *
 * A range gives the hashes of its blocks of hashes: one hash for each `rangeUnit` bytes. Ranges that
 * start and end at multiples of that (the last may end anywhere) need nothing of each other.
 */

import { chosenBlockSize } from "./block-hash.ts";
import type { BlockHash, FsVerityOptions } from "./block-hash.ts";
import { DESCRIPTOR_SIZE, writeDescriptor } from "./descriptor.ts";
import { DIGEST_SIZE, fsVerityDigestFrom } from "./digest.ts";
import type { FsVerityDigest } from "./digest.ts";

/** How many bytes of a file one hash of a range stands for: 512 KiB with sha256 and blocks of 4096. */
export function rangeUnit(hash: BlockHash, options: FsVerityOptions = {}): number {
  const blockSize = chosenBlockSize(options);
  return blockSize * (blockSize / DIGEST_SIZE[hash.algorithm]);
}

/** Hashes ranges; keeps its buffers from one to the next. */
export class FsVerityRangeHasher {
  /** See {@link rangeUnit}. */
  readonly unit: number;
  readonly #hash: BlockHash;
  readonly #blockSize: number;
  readonly #digestSize: number;
  /** The hashes of the blocks of one unit: exactly one block. */
  readonly #leafHashes: Uint8Array;

  constructor(hash: BlockHash, options: FsVerityOptions = {}) {
    this.#hash = hash;
    this.#blockSize = chosenBlockSize(options);
    this.#digestSize = DIGEST_SIZE[hash.algorithm];
    this.#leafHashes = new Uint8Array(this.#blockSize);
    this.unit = rangeUnit(hash, options);
  }

  /**
   * Hashes one unit of a file, or what is left of it at its end, and writes the hash to the start of
   * `out`. `buffer` holds the `length` bytes at its start, and room up to the next whole block, which
   * is filled with zeros.
   */
  hashUnit(buffer: Uint8Array, length: number, out: Uint8Array): void {
    const blocks = Math.ceil(length / this.#blockSize);
    const end = blocks * this.#blockSize;
    buffer.fill(0, length, end);
    this.#hash.hashBlocks(buffer.subarray(0, end), this.#blockSize, this.#leafHashes);
    this.#leafHashes.fill(0, blocks * this.#digestSize);
    this.#hash.hashBlocks(this.#leafHashes, this.#blockSize, out);
  }
}

/**
 * Returns the digest of a file of `size` bytes, which is more than one block, out of the hashes of all
 * its units in order.
 */
export function digestOfUnits(
  hash: BlockHash,
  size: number,
  hashes: Uint8Array,
  options: FsVerityOptions = {},
): FsVerityDigest {
  const blockSize = chosenBlockSize(options);
  const digestSize = DIGEST_SIZE[hash.algorithm];
  let level = hashes;
  while (level.length > digestSize) {
    const blocks = new Uint8Array(Math.ceil(level.length / blockSize) * blockSize);
    blocks.set(level);
    level = new Uint8Array((blocks.length / blockSize) * digestSize);
    hash.hashBlocks(blocks, blockSize, level);
  }
  const descriptor = new Uint8Array(DESCRIPTOR_SIZE);
  writeDescriptor(descriptor, 0, { algorithm: hash.algorithm, blockSize, size, root: level });
  const digest = new Uint8Array(digestSize);
  hash.hashBlocks(descriptor, DESCRIPTOR_SIZE, digest);
  return fsVerityDigestFrom(digest);
}
