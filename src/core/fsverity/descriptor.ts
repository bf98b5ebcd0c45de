/**
 * The fs-verity descriptor: 256 bytes whose hash is the digest of the file.
 *
 * Source: Linux include/uapi/linux/fsverity.h, `struct fsverity_descriptor`. Salt and signature, which
 * composefs never has, stay zero.
 */

import { FS_VERITY_HASH_ALG } from "./digest.ts";
import type { FsVerityAlgorithm } from "./digest.ts";

/** Bytes of `struct fsverity_descriptor` without a signature. */
export const DESCRIPTOR_SIZE = 256;

const OFFSET_VERSION = 0;
const OFFSET_HASH_ALGORITHM = 1;
const OFFSET_LOG_BLOCKSIZE = 2;
const OFFSET_DATA_SIZE = 8;
const OFFSET_ROOT_HASH = 16;

/** What a descriptor says. */
export interface DescribedFile {
  readonly algorithm: FsVerityAlgorithm;
  readonly blockSize: number;
  /** Bytes of the file. */
  readonly size: number;
  /** The one hash that is left of the Merkle tree; an empty file has none. */
  readonly root: Uint8Array | undefined;
}

/** Writes the descriptor to `target` from `at`. */
export function writeDescriptor(target: Uint8Array, at: number, file: DescribedFile): void {
  const view = new DataView(target.buffer, target.byteOffset + at, DESCRIPTOR_SIZE);
  target.fill(0, at, at + DESCRIPTOR_SIZE);
  view.setUint8(OFFSET_VERSION, 1);
  view.setUint8(OFFSET_HASH_ALGORITHM, FS_VERITY_HASH_ALG[file.algorithm]);
  view.setUint8(OFFSET_LOG_BLOCKSIZE, Math.log2(file.blockSize));
  view.setUint32(OFFSET_DATA_SIZE, file.size % 2 ** 32, true);
  view.setUint32(OFFSET_DATA_SIZE + 4, Math.floor(file.size / 2 ** 32), true);
  if (file.root !== undefined) target.set(file.root, at + OFFSET_ROOT_HASH);
}
