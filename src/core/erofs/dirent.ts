/**
 * Directory data: blocks of entries, each block with its names behind its entries.
 *
 * Entries are sorted by the bytes of their names, over all blocks, `.` and `..` among them: that is
 * what makes lookups cheap, and here it is checked, because a name out of order is a file that the
 * kernel lists and cannot open.
 *
 * Source: Linux fs/erofs/erofs_fs.h (`erofs_dirent`), fs/erofs/dir.c, fs/erofs/namei.c.
 */

import { sliceByteString } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { SourceReader } from "../bytes/reader.ts";
import { ImageError } from "../errors.ts";
import type { NodeKind } from "../tree/node.ts";
import { DIRENT, EROFS_BLKSIZ, EROFS_FT, EROFS_NAME_LEN } from "./format.ts";
import type { FlatExtents, Nid } from "./inode.ts";
import { checkNid } from "./inode.ts";
import type { SuperBlock } from "./superblock.ts";

/** One name of a directory. */
export interface DirectoryEntry {
  readonly name: ByteString;
  readonly nid: Nid;
  /** What the entry says its inode is; {@link ErofsImage.inode} has the last word. */
  readonly kind: NodeKind;
  /** Byte offset of the entry in the image. */
  readonly offset: number;
}

/** Where one block of a directory is: 4096 bytes, the last one less. */
export interface DirentBlock {
  readonly offset: number;
  readonly length: number;
}

const KIND_OF_FILE_TYPE = new Map<number, NodeKind>(
  (Object.keys(EROFS_FT) as NodeKind[]).map((kind) => [EROFS_FT[kind], kind]),
);

/** The number of blocks of a directory, its inline tail included. */
export function direntBlockCount(extents: FlatExtents): number {
  return Math.ceil(extents.blocksLength / EROFS_BLKSIZ) + (extents.tailLength > 0 ? 1 : 0);
}

/** The place of block `index`, which is below {@link direntBlockCount}. */
export function direntBlock(extents: FlatExtents, index: number): DirentBlock {
  const at = index * EROFS_BLKSIZ;
  if (at >= extents.blocksLength) return { offset: extents.tailOffset, length: extents.tailLength };
  return {
    offset: extents.blocksOffset + at,
    length: Math.min(EROFS_BLKSIZ, extents.blocksLength - at),
  };
}

/**
 * Decodes a block, `.` and `..` included. `after` is the last name of the block before, or empty.
 * Throws `corrupt-image` for names that cannot be names, or out of order.
 */
export function decodeDirents(
  reader: SourceReader,
  superBlock: SuperBlock,
  block: DirentBlock,
  after: ByteString,
): DirectoryEntry[] {
  const count = direntCount(reader, block);
  const namesAt = count * DIRENT.size;
  // One string for all names of the block: the names are then slices that share it.
  const names = reader.text(block.offset + namesAt, block.length - namesAt);
  const entries: DirectoryEntry[] = [];
  let previous = after;
  let start = namesAt;
  for (let i = 0; i < count; i++) {
    const offset = block.offset + i * DIRENT.size;
    const isLast = i + 1 === count;
    const end = isLast
      ? namesAt + nameEnd(names, start - namesAt)
      : reader.u16(offset + DIRENT.size + DIRENT.nameoff);
    const nameoffAt = isLast ? offset + DIRENT.nameoff : offset + DIRENT.size + DIRENT.nameoff;
    if (end <= start || end > block.length || end - start > EROFS_NAME_LEN) {
      throw corrupt(nameoffAt, `a name of ${end - start} bytes`);
    }
    const name = sliceByteString(names, start - namesAt, end - namesAt);
    if (!(previous < name)) throw corrupt(offset, "directory entries are not in order");
    const kind = KIND_OF_FILE_TYPE.get(reader.u8(offset + DIRENT.fileType));
    if (kind === undefined) throw corrupt(offset + DIRENT.fileType, "unknown file type");
    const nid = checkNid(reader, superBlock, reader.u64(offset + DIRENT.nid), offset + DIRENT.nid);
    entries.push({ name, nid, kind, offset });
    previous = name;
    start = end;
  }
  checkNameBytes(names, start - namesAt, block.offset + namesAt);
  return entries;
}

/** The first name of a block: what a binary search over blocks compares. */
export function firstDirentName(reader: SourceReader, block: DirentBlock): ByteString {
  const count = direntCount(reader, block);
  const start = count * DIRENT.size;
  if (count === 1) {
    const rest = reader.text(block.offset + start, block.length - start);
    return sliceByteString(rest, 0, nameEnd(rest, 0));
  }
  const end = reader.u16(block.offset + DIRENT.size + DIRENT.nameoff);
  if (end < start || end > block.length) {
    throw corrupt(block.offset + DIRENT.size + DIRENT.nameoff, "a name that leaves its block");
  }
  return reader.text(block.offset + start, end - start);
}

/** Entries of a block: the first name follows the last entry, so its offset tells how many. */
function direntCount(reader: SourceReader, block: DirentBlock): number {
  if (block.length <= DIRENT.size) {
    throw corrupt(block.offset, `directory block of ${block.length} bytes`);
  }
  const at = block.offset + DIRENT.nameoff;
  const nameoff = reader.u16(at);
  if (nameoff < DIRENT.size || nameoff % DIRENT.size !== 0 || nameoff >= block.length) {
    throw corrupt(at, `names at ${nameoff} of a directory block`);
  }
  return nameoff / DIRENT.size;
}

/** The last name of a block ends at a NUL or with the block. */
function nameEnd(names: ByteString, start: number): number {
  const nul = names.indexOf("\0", start);
  return nul < 0 ? names.length : nul;
}

function checkNameBytes(names: ByteString, length: number, offset: number): void {
  for (const [byte, what] of [
    ["/", "a slash"],
    ["\0", "a NUL"],
  ] as const) {
    const at = names.indexOf(byte);
    if (at >= 0 && at < length) throw corrupt(offset + at, `a name with ${what}`);
  }
}

function corrupt(offset: number, reason: string): ImageError {
  return new ImageError("corrupt-image", offset, reason);
}
