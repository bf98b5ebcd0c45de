/**
 * Chunk tables: what stands behind the inode of an external or sparse file.
 *
 * composefs stores no chunk data. Each address in a table is "a hole"; overlayfs finds the data by
 * the xattrs. V2 leaves the table out for files without a digest, and C writes a table of 1,017
 * entries or more to a block whose address it then overwrites with the chunk format: so a table
 * may not be there, and only those that are can be checked.
 *
 * Source: Linux fs/erofs/data.c (`erofs_map_blocks`); libcomposefs/lcfs-writer-erofs.c.
 */

import type { SourceReader } from "../bytes/reader.ts";
import { ImageError } from "../errors.ts";
import {
  EROFS_BLKSIZ,
  EROFS_BLKSIZ_BITS,
  EROFS_CHUNK_FORMAT_BLKBITS_MASK,
  EROFS_NULL_ADDR,
  INODE_COMPACT,
} from "./format.ts";
import type { FileInode } from "./inode.ts";

/** Bytes of one address. */
export const CHUNK_ADDRESS_SIZE = 4;

/** Bytes of a chunk by its format: raising 2 to a power is a twentieth of reading a file's inode. */
const CHUNK_SIZES = Array.from(
  { length: EROFS_CHUNK_FORMAT_BLKBITS_MASK + 1 },
  (_, format) => 2 ** (EROFS_BLKSIZ_BITS + format),
);

/** A table as the inode implies it. */
export interface ChunkTable {
  /** Binary logarithm of the bytes of a chunk, 12 to 43. */
  readonly lgChunkSize: number;
  /** Number of chunks that the file's size makes. */
  readonly count: number;
  /** Whether that many addresses fit behind the inode, in the same block. */
  readonly isInline: boolean;
}

/** Decodes the chunk format of a chunk-based inode. Throws `unsupported-image`. */
export function chunkTable(inode: FileInode): ChunkTable {
  // The upper half of `u` is what C leaves there of a block address.
  const format = inode.u & 0xffff;
  if ((format & ~EROFS_CHUNK_FORMAT_BLKBITS_MASK) !== 0) {
    throw new ImageError(
      "unsupported-image",
      inode.offset + INODE_COMPACT.u,
      `composefs has no chunk format 0x${format.toString(16)} (inode at offset ${inode.offset})`,
    );
  }
  const lgChunkSize = EROFS_BLKSIZ_BITS + format;
  const count = Math.ceil(inode.size / CHUNK_SIZES[format]!);
  const end = (inode.tailOffset % EROFS_BLKSIZ) + count * CHUNK_ADDRESS_SIZE;
  return { lgChunkSize, count, isInline: end <= EROFS_BLKSIZ };
}

/** Checks that an inline table has holes only. Throws `corrupt-image`. */
export function checkHoles(reader: SourceReader, inode: FileInode, table: ChunkTable): void {
  if (!table.isInline) return;
  for (let i = 0; i < table.count; i++) {
    const at = inode.tailOffset + i * CHUNK_ADDRESS_SIZE;
    if (reader.u32(at) !== EROFS_NULL_ADDR) {
      throw new ImageError("corrupt-image", at, "a chunk of an external file has an address");
    }
  }
}
