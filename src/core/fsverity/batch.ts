/**
 * The fs-verity digests of many small files at once.
 *
 * Most files are of one or two blocks, and one block at a time leaves half of a processor's hashing
 * unit, or seven of eight lanes, idle. Here files lie one after the other in one buffer, each padded to
 * whole blocks, and every level of all their trees is one call of the hash function: the data, the
 * hashes of those with more than one block, the descriptors.
 *
 * A file of more blocks than a block holds hashes (128 with sha256, 64 with sha512) is large enough for
 * an FsVerityHasher of its own.
 */

import { chosenBlockSize } from "./block-hash.ts";
import type { BlockHash, FsVerityOptions } from "./block-hash.ts";
import { DESCRIPTOR_SIZE, writeDescriptor } from "./descriptor.ts";
import { DIGEST_SIZE, fsVerityDigestFrom } from "./digest.ts";
import type { FsVerityDigest } from "./digest.ts";

/** Bytes of the buffer for data: small enough to stay in the processor's cache until it is hashed. */
const CAPACITY = 1 << 20;

/** Files that wait for their digests; empty ones take no space, so there is a limit of its own. */
const MAX_FILES = 256;

interface BatchedFile {
  readonly size: number;
  readonly firstBlock: number;
  readonly blocks: number;
}

/** Computes the fs-verity digests of files that fit into memory several at a time. */
export class FsVerityBatch {
  /** The largest file that a batch takes, in bytes. */
  readonly maxFileSize: number;
  readonly #hash: BlockHash;
  readonly #blockSize: number;
  readonly #digestSize: number;
  readonly #data: Uint8Array;
  readonly #leafHashes: Uint8Array;
  /** A block of hashes for each file of more than one block, and the hashes of these blocks. */
  readonly #upperBlocks: Uint8Array;
  readonly #upperHashes: Uint8Array;
  readonly #descriptors = new Uint8Array(MAX_FILES * DESCRIPTOR_SIZE);
  readonly #digests: Uint8Array;
  #files: BatchedFile[] = [];
  #usedBlocks = 0;

  constructor(hash: BlockHash, options: FsVerityOptions = {}) {
    this.#hash = hash;
    this.#blockSize = chosenBlockSize(options);
    this.#digestSize = DIGEST_SIZE[hash.algorithm];
    const capacityInBlocks = CAPACITY / this.#blockSize;
    const hashesInBlock = this.#blockSize / this.#digestSize;
    this.maxFileSize = Math.min(hashesInBlock, capacityInBlocks) * this.#blockSize;
    this.#data = new Uint8Array(CAPACITY);
    this.#leafHashes = new Uint8Array(capacityInBlocks * this.#digestSize);
    this.#upperBlocks = new Uint8Array(CAPACITY / 2);
    this.#upperHashes = new Uint8Array((capacityInBlocks / 2) * this.#digestSize);
    this.#digests = new Uint8Array(MAX_FILES * this.#digestSize);
  }

  /** Files that wait for their digests. */
  get length(): number {
    return this.#files.length;
  }

  /**
   * Adds a file of at most `maxFileSize` bytes. Returns the place where the caller puts its content
   * before the next call of `digests`; the content stays there until the next call of `add` after that.
   * Returns `undefined` when the batch has no room for it: call `digests` first.
   */
  add(size: number): Uint8Array | undefined {
    if (size > this.maxFileSize) {
      throw new RangeError(`"size" expected at most ${this.maxFileSize}, got ${size}`);
    }
    const blocks = Math.ceil(size / this.#blockSize);
    const start = this.#usedBlocks * this.#blockSize;
    const end = start + blocks * this.#blockSize;
    if (end > this.#data.length || this.#files.length === MAX_FILES) return undefined;
    this.#files.push({ size, firstBlock: this.#usedBlocks, blocks });
    this.#usedBlocks += blocks;
    this.#data.fill(0, start + size, end);
    return this.#data.subarray(start, start + size);
  }

  /** Returns the digests of all files in the order they were added. The batch is empty after it. */
  digests(): FsVerityDigest[] {
    const files = this.#files;
    this.#hashLeaves();
    this.#hashUpperBlocks();
    this.#hashDescriptors();
    this.#files = [];
    this.#usedBlocks = 0;
    return files.map((_, index) => fsVerityDigestFrom(this.#digestAt(this.#digests, index)));
  }

  #hashLeaves(): void {
    const blocks = this.#data.subarray(0, this.#usedBlocks * this.#blockSize);
    this.#hash.hashBlocks(blocks, this.#blockSize, this.#leafHashes);
  }

  #hashUpperBlocks(): void {
    let at = 0;
    for (const file of this.#files) {
      if (file.blocks < 2) continue;
      const start = file.firstBlock * this.#digestSize;
      const hashes = this.#leafHashes.subarray(start, start + file.blocks * this.#digestSize);
      this.#upperBlocks.set(hashes, at);
      this.#upperBlocks.fill(0, at + hashes.length, at + this.#blockSize);
      at += this.#blockSize;
    }
    const blocks = this.#upperBlocks.subarray(0, at);
    this.#hash.hashBlocks(blocks, this.#blockSize, this.#upperHashes);
  }

  #hashDescriptors(): void {
    const { algorithm } = this.#hash;
    let at = 0;
    let nextUpper = 0;
    for (const { size, blocks, firstBlock } of this.#files) {
      const root =
        blocks === 0
          ? undefined
          : blocks === 1
            ? this.#digestAt(this.#leafHashes, firstBlock)
            : this.#digestAt(this.#upperHashes, nextUpper++);
      writeDescriptor(this.#descriptors, at, { algorithm, blockSize: this.#blockSize, size, root });
      at += DESCRIPTOR_SIZE;
    }
    this.#hash.hashBlocks(this.#descriptors.subarray(0, at), DESCRIPTOR_SIZE, this.#digests);
  }

  #digestAt(digests: Uint8Array, index: number): Uint8Array {
    return digests.subarray(index * this.#digestSize, (index + 1) * this.#digestSize);
  }
}
