/**
 * The fs-verity Merkle tree and digest, streaming, with the hash function injected.
 *
 * A file is cut into blocks, each block (the last one padded with zeros) is hashed; the hashes,
 * packed into blocks, are hashed again until one hash is left: the root. The digest is the hash of
 * the 256-byte descriptor that holds the root, the file's size and the parameters. No salt.
 *
 * Source: Linux Documentation/filesystems/fsverity.rst, "Merkle tree" and "fs-verity descriptor".
 */

import { DIGEST_SIZE, FS_VERITY_HASH_ALG, fsVerityDigestFrom } from "./digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "./digest.ts";

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

/** Options of {@link FsVerityHasher} and {@link computeFsVerityDigest}. */
export interface FsVerityOptions {
  /** Bytes of a block, a power of two from 1024 to 65536; 4096 unless told. */
  readonly blockSize?: number;
}

/** The block size of every composefs tool. */
export const FS_VERITY_BLOCK_SIZE = 4096;

const DESCRIPTOR_SIZE = 256;

/** Blocks that are collected before the hash function is called: 128 KiB at 4096. */
const BATCH = 32;

/** One level of the tree: blocks wait here until there are enough to hash. */
interface Level {
  readonly buffer: Uint8Array;
  filled: number;
  /** Whether a hash of this level has gone up; a level that made just one hash is the root. */
  sentUp: boolean;
}

/** Computes an fs-verity digest of bytes that come in pieces of any size. */
export class FsVerityHasher {
  readonly #hash: BlockHash;
  readonly #blockSize: number;
  readonly #digestSize: number;
  readonly #levels: Level[] = [];
  readonly #out: Uint8Array;
  #size = 0;

  constructor(hash: BlockHash, options: FsVerityOptions = {}) {
    const blockSize = options.blockSize ?? FS_VERITY_BLOCK_SIZE;
    if (!Number.isInteger(Math.log2(blockSize)) || blockSize < 1024 || blockSize > 65536) {
      throw new RangeError(
        `"blockSize" expected a power of two from 1024 to 65536, got ${blockSize}`,
      );
    }
    this.#hash = hash;
    this.#blockSize = blockSize;
    this.#digestSize = DIGEST_SIZE[hash.algorithm];
    this.#out = new Uint8Array(BATCH * this.#digestSize);
  }

  /** Takes the next bytes of the file; nothing is kept of `data` after the call. */
  update(data: Uint8Array): void {
    this.#size += data.length;
    this.#push(0, data);
  }

  /** Returns the digest. The hasher is spent after it. */
  digest(): FsVerityDigest {
    const root = new Uint8Array(this.#digestSize);
    if (this.#size > 0) root.set(this.#root());
    const descriptor = new Uint8Array(DESCRIPTOR_SIZE);
    const view = new DataView(descriptor.buffer);
    view.setUint8(0, 1); // version
    view.setUint8(1, FS_VERITY_HASH_ALG[this.#hash.algorithm]);
    view.setUint8(2, Math.log2(this.#blockSize));
    view.setUint8(3, 0); // salt_size
    view.setBigUint64(8, BigInt(this.#size), true);
    descriptor.set(root, 16);
    this.#hash.hashBlocks(descriptor, DESCRIPTOR_SIZE, root);
    return fsVerityDigestFrom(root);
  }

  #level(index: number): Level {
    // Only the lowest level gets megabytes; the ones above fill a hundred times slower.
    const blocks = index === 0 ? BATCH : 1;
    return (this.#levels[index] ??= {
      buffer: new Uint8Array(blocks * this.#blockSize),
      filled: 0,
      sentUp: false,
    });
  }

  #push(index: number, data: Uint8Array): void {
    const level = this.#level(index);
    let at = 0;
    while (at < data.length) {
      if (level.filled === level.buffer.length) this.#flush(index);
      // A level is flushed only when more is to come, so the last block is always still here.
      const direct = this.#wholeBlocks(index, data, at);
      if (direct > 0) {
        this.#sendUp(index, data.subarray(at, at + direct));
        at += direct;
        continue;
      }
      const take = Math.min(level.buffer.length - level.filled, data.length - at);
      level.buffer.set(data.subarray(at, at + take), level.filled);
      level.filled += take;
      at += take;
    }
  }

  /** How many bytes from `at` can be hashed where they lie, leaving at least one byte for the end. */
  #wholeBlocks(index: number, data: Uint8Array, at: number): number {
    if (index !== 0 || this.#level(0).filled !== 0) return 0;
    const blocks = Math.min(BATCH, Math.floor((data.length - at - 1) / this.#blockSize));
    return blocks * this.#blockSize;
  }

  /** Hashes all blocks of a full level and hands their hashes up. */
  #flush(index: number): void {
    const level = this.#level(index);
    this.#sendUp(index, level.buffer.subarray(0, level.filled));
    level.filled = 0;
  }

  #sendUp(index: number, blocks: Uint8Array): void {
    // A frame for each call: the levels above may call the hash function again before `hashes` is read.
    const count = blocks.length / this.#blockSize;
    const hashes = index === 0 ? this.#out : new Uint8Array(count * this.#digestSize);
    this.#hash.hashBlocks(blocks, this.#blockSize, hashes);
    this.#level(index).sentUp = true;
    this.#push(index + 1, hashes.subarray(0, count * this.#digestSize));
  }

  #root(): Uint8Array {
    for (let index = 0; ; index++) {
      const level = this.#level(index);
      const padded = Math.ceil(level.filled / this.#blockSize) * this.#blockSize;
      level.buffer.fill(0, level.filled, padded);
      level.filled = padded;
      if (!level.sentUp && padded === this.#blockSize) {
        const root = new Uint8Array(this.#digestSize);
        this.#hash.hashBlocks(level.buffer.subarray(0, padded), this.#blockSize, root);
        return root;
      }
      this.#flush(index);
    }
  }
}

/** Computes the fs-verity digest of bytes in memory. */
export function computeFsVerityDigest(
  data: Uint8Array,
  hash: BlockHash,
  options: FsVerityOptions = {},
): FsVerityDigest {
  const hasher = new FsVerityHasher(hash, options);
  hasher.update(data);
  return hasher.digest();
}
