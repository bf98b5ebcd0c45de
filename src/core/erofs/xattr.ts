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

/** Bytes of an entry with its padding. */
export function xattrEntrySize(nameLen: number, valueSize: number): number {
  return Math.ceil((XATTR_ENTRY.size + nameLen + valueSize) / 4) * 4;
}

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

/** The xattrs in the inode itself, in the order of the image. */
export function inlineXattrs(reader: SourceReader, inode: ErofsInode): ErofsXattr[] {
  const xattrs: ErofsXattr[] = [];
  if (inode.xattrSize === 0) return xattrs;
  let at = inode.xattrOffset + XATTR_IBODY_HEADER.size + sharedCount(reader, inode) * 4;
  while (at < inode.tailOffset) {
    const xattr = decodeXattr(reader, at, inode.tailOffset);
    xattrs.push(xattr);
    at += Math.ceil((xattr.valueOffset + xattr.valueSize - at) / 4) * 4;
  }
  return xattrs;
}

/** Decodes the entry at `offset`, all of which lies before `end`. Throws `corrupt-image`. */
export function decodeXattr(reader: SourceReader, offset: number, end: number): ErofsXattr {
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
  const name = concatByteStrings(prefix as ByteString, reader.text(nameOffset, nameLen));
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
