/**
 * The fs-verity Merkle tree and digest of one file, streaming, with the hash function injected.
 *
 * A file is cut into blocks, each block (the last one padded with zeros) is hashed; the hashes,
 * packed into blocks, are hashed again until one hash is left: the root. The digest is the hash of
 * the descriptor that holds the root, the file's size and the parameters. No salt.
 *
 * Source: Linux Documentation/filesystems/fsverity.rst, "Merkle tree" and "fs-verity descriptor".
 */

import { chosenBlockSize } from "./block-hash.ts";
import type { BlockHash, FsVerityOptions } from "./block-hash.ts";
import { DESCRIPTOR_SIZE, writeDescriptor } from "./descriptor.ts";
import { DIGEST_SIZE, fsVerityDigestFrom } from "./digest.ts";
import type { FsVerityDigest } from "./digest.ts";

/** Blocks of data that go to the hash function in one call: 1 MiB at 4096. */
const LEAF_BATCH = 256;

/** The same for blocks of hashes: as many as the widest accelerator hashes at once. */
const UPPER_BATCH = 16;

/** One level of the tree above the data: hashes wait here until there are enough to hash. */
interface Level {
  /** Hashes of the level below, packed. */
  readonly blocks: Uint8Array;
  filled: number;
  /** Hashes that came here since the file began; a level that got just one holds the root. */
  count: number;
  /** Where the hashes of `blocks` go on their way up. */
  readonly out: Uint8Array;
}

/** Computes fs-verity digests of bytes that come in pieces of any size, one file after the other. */
export class FsVerityHasher {
  readonly #hash: BlockHash;
  readonly #blockSize: number;
  readonly #digestSize: number;
  /** The start of a block of data whose end has not come yet. */
  readonly #partial: Uint8Array;
  #partialFilled = 0;
  readonly #leafHashes: Uint8Array;
  readonly #levels: Level[] = [];
  #size = 0;

  constructor(hash: BlockHash, options: FsVerityOptions = {}) {
    this.#hash = hash;
    this.#blockSize = chosenBlockSize(options);
    this.#digestSize = DIGEST_SIZE[hash.algorithm];
    this.#partial = new Uint8Array(this.#blockSize);
    this.#leafHashes = new Uint8Array(LEAF_BATCH * this.#digestSize);
  }

  /**
   * Takes the next bytes of the file; nothing is kept of `data` after the call. Pieces of whole
   * blocks are hashed where they lie; others cost a copy of up to a block.
   */
  update(data: Uint8Array): void {
    this.#size += data.length;
    let at = 0;
    if (this.#partialFilled > 0) {
      at = Math.min(this.#blockSize - this.#partialFilled, data.length);
      this.#partial.set(data.subarray(0, at), this.#partialFilled);
      this.#partialFilled += at;
      if (this.#partialFilled < this.#blockSize) return;
      this.#partialFilled = 0;
      this.#hashLeaves(this.#partial);
    }
    const wholeEnd = data.length - ((data.length - at) % this.#blockSize);
    while (at < wholeEnd) {
      const end = Math.min(at + LEAF_BATCH * this.#blockSize, wholeEnd);
      this.#hashLeaves(data.subarray(at, end));
      at = end;
    }
    if (at < data.length) {
      this.#partial.set(data.subarray(at));
      this.#partialFilled = data.length - at;
    }
  }

  /** Returns the digest. The hasher is as new after it and takes the next file. */
  digest(): FsVerityDigest {
    const descriptor = new Uint8Array(DESCRIPTOR_SIZE);
    writeDescriptor(descriptor, 0, {
      algorithm: this.#hash.algorithm,
      blockSize: this.#blockSize,
      size: this.#size,
      root: this.#size === 0 ? undefined : this.#root(),
    });
    const digest = new Uint8Array(this.#digestSize);
    this.#hash.hashBlocks(descriptor, DESCRIPTOR_SIZE, digest);
    this.#reset();
    return fsVerityDigestFrom(digest);
  }

  #hashLeaves(blocks: Uint8Array): void {
    this.#hash.hashBlocks(blocks, this.#blockSize, this.#leafHashes);
    const count = blocks.length / this.#blockSize;
    this.#push(0, this.#leafHashes.subarray(0, count * this.#digestSize));
  }

  #push(index: number, hashes: Uint8Array): void {
    const level = this.#level(index);
    level.count += hashes.length / this.#digestSize;
    let at = 0;
    while (at < hashes.length) {
      // Only when more is to come: at the end of the file each level still holds something.
      if (level.filled === level.blocks.length) this.#flush(index);
      const take = Math.min(level.blocks.length - level.filled, hashes.length - at);
      level.blocks.set(hashes.subarray(at, at + take), level.filled);
      level.filled += take;
      at += take;
    }
  }

  /** Hashes what a level holds, the last block padded with zeros, and hands the hashes up. */
  #flush(index: number): void {
    const level = this.#level(index);
    const count = Math.ceil(level.filled / this.#blockSize);
    const end = count * this.#blockSize;
    level.blocks.fill(0, level.filled, end);
    level.filled = 0;
    this.#hash.hashBlocks(level.blocks.subarray(0, end), this.#blockSize, level.out);
    this.#push(index + 1, level.out.subarray(0, count * this.#digestSize));
  }

  #root(): Uint8Array {
    if (this.#partialFilled > 0) {
      this.#partial.fill(0, this.#partialFilled);
      this.#hashLeaves(this.#partial);
    }
    let index = 0;
    for (; this.#level(index).count > 1; index++) this.#flush(index);
    return this.#level(index).blocks.subarray(0, this.#digestSize);
  }

  #level(index: number): Level {
    return (this.#levels[index] ??= {
      blocks: new Uint8Array(UPPER_BATCH * this.#blockSize),
      filled: 0,
      count: 0,
      out: new Uint8Array(UPPER_BATCH * this.#digestSize),
    });
  }

  #reset(): void {
    this.#size = 0;
    this.#partialFilled = 0;
    for (const level of this.#levels) {
      level.filled = 0;
      level.count = 0;
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
