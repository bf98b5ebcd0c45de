/**
 * Extended attributes as they stand in the image: those in the inode, and those in the shared area
 * that inodes refer to.
 *
 * Source: Linux fs/erofs/erofs_fs.h (`erofs_xattr_ibody_header`, `erofs_xattr_entry`), xattr.c.
 */

import { concatByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { SourceReader } from "../bytes/reader.ts";
import { ImageError } from "../errors.ts";
import {
  EROFS_BLKSIZ,
  EROFS_XATTR_PREFIXES,
  XATTR_ENTRY,
  XATTR_IBODY_HEADER,
  XATTR_NAME_MAX,
} from "./format.ts";
import type { ErofsInode } from "./inode.ts";
import type { SuperBlock } from "./superblock.ts";

/** One xattr of an image: its full name, and where its value is. */
export interface ErofsXattr {
  readonly name: ByteString;
  /** Byte offset of the entry, of its value, and bytes of the value. */
  readonly offset: number;
  readonly valueOffset: number;
  readonly valueSize: number;
}

/**
 * The xattr names that were seen last. An image has a dozen of them in 100,000 places; most reads
 * are answered by comparing bytes, without a string being made.
 */
export class XattrNames {
  readonly #slots: (ByteString | undefined)[] = [];

  /** The name of `prefix` and the `length` bytes at `offset`. */
  read(reader: SourceReader, offset: number, length: number, prefix: ByteString): ByteString {
    if (length === 0) return prefix;
    const last = reader.u8(offset + length - 1);
    const slot = (length * 31 + prefix.length * 7 + last) % NAME_SLOTS;
    const known = this.#slots[slot];
    const matches =
      known !== undefined &&
      known.length === prefix.length + length &&
      known.startsWith(prefix) &&
      reader.holds(offset, known, prefix.length);
    if (matches) return known;
    const name = concatByteStrings(prefix, reader.text(offset, length));
    this.#slots[slot] = name;
    return name;
  }
}

const NAME_SLOTS = 256;

/** Byte offset of a shared xattr by the id that inodes hold. */
export function sharedXattrOffset(superBlock: SuperBlock, id: number): number {
  return superBlock.xattrBlkaddr * EROFS_BLKSIZ + id * 4;
}

/** The ids of the shared xattrs of an inode, in the order of the image. */
export function sharedXattrIds(reader: SourceReader, inode: ErofsInode): number[] {
  if (inode.xattrSize === 0) return [];
  const count = sharedCount(reader, inode);
  const ids: number[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(reader.u32(inode.xattrOffset + XATTR_IBODY_HEADER.size + i * 4));
  }
  return ids;
}

/** Where the xattrs in the inode itself start; they end with the inode's xattr area. */
export function inlineXattrsOffset(reader: SourceReader, inode: ErofsInode): number {
  if (inode.xattrSize === 0) return inode.tailOffset;
  return inode.xattrOffset + XATTR_IBODY_HEADER.size + sharedCount(reader, inode) * 4;
}

/** Where the entry after this one starts. */
export function nextXattrOffset({ offset, valueOffset, valueSize }: ErofsXattr): number {
  return offset + Math.ceil((valueOffset + valueSize - offset) / 4) * 4;
}

/**
 * Decodes the entry at `offset`, all of which lies before `end`. Names are taken from `names` where
 * they are there. Throws `corrupt-image`.
 */
export function decodeXattr(
  reader: SourceReader,
  offset: number,
  end: number,
  names: XattrNames,
): ErofsXattr {
  const nameLen = reader.u8(offset + XATTR_ENTRY.nameLen);
  const nameIndex = reader.u8(offset + XATTR_ENTRY.nameIndex);
  const valueSize = reader.u16(offset + XATTR_ENTRY.valueSize);
  const nameOffset = offset + XATTR_ENTRY.size;
  const valueOffset = nameOffset + nameLen;
  if (valueOffset + valueSize > end) throw corrupt(offset, "an xattr that leaves its area");
  const prefix = EROFS_XATTR_PREFIXES[nameIndex];
  if (prefix === undefined) {
    throw corrupt(offset + XATTR_ENTRY.nameIndex, `unknown xattr name index ${nameIndex}`);
  }
  const name = names.read(reader, nameOffset, nameLen, prefix as ByteString);
  if (name.length === 0 || name.length > XATTR_NAME_MAX || name.includes("\0")) {
    throw corrupt(nameOffset, "an xattr name that is empty, too long or has a NUL");
  }
  return { name, offset, valueOffset, valueSize };
}

function sharedCount(reader: SourceReader, inode: ErofsInode): number {
  const at = inode.xattrOffset + XATTR_IBODY_HEADER.sharedCount;
  const count = reader.u8(at);
  if (XATTR_IBODY_HEADER.size + count * 4 > inode.xattrSize) {
    throw corrupt(at, `${count} shared xattrs do not fit into the inode's xattr area`);
  }
  return count;
}

function corrupt(offset: number, reason: string): ImageError {
  return new ImageError("corrupt-image", offset, reason);
}
