/**
 * Inodes: 32 bytes (compact) or 64 (extended), then xattrs, then the tail of the data or the chunk
 * table.
 *
 * Source: Linux fs/erofs/erofs_fs.h, fs/erofs/inode.c (`erofs_read_inode`).
 */

import type { SourceReader } from "../bytes/reader.ts";
import { ImageError } from "../errors.ts";
import { kindOfMode } from "../tree/node.ts";
import type { NodeKind, Timestamp } from "../tree/node.ts";
import {
  EROFS_BLKSIZ,
  EROFS_INODE_CHUNK_BASED,
  EROFS_INODE_FLAT_INLINE,
  EROFS_INODE_FLAT_PLAIN,
  EROFS_I_ALL,
  EROFS_I_DATALAYOUT_BIT,
  EROFS_I_DATALAYOUT_MASK,
  EROFS_I_VERSION_BIT,
  EROFS_I_VERSION_MASK,
  EROFS_SLOTSIZE,
  EROFS_SUPER_OFFSET,
  INODE_COMPACT,
  INODE_EXTENDED,
  SUPER_BLOCK,
  XATTR_ENTRY,
  XATTR_IBODY_HEADER,
} from "./format.ts";
import type { SuperBlock } from "./superblock.ts";

declare const nidBrand: unique symbol;

/** An EROFS node number that lies inside its image: 32-byte slots from the metadata area's start. */
export type Nid = number & { readonly [nidBrand]: true };

/** How the data of an inode is stored; composefs uses no other layout. */
export type DataLayout =
  /** In whole blocks, from block `u` on. */
  | typeof EROFS_INODE_FLAT_PLAIN
  /** In whole blocks from `u` on but for the last, which follows the xattrs. */
  | typeof EROFS_INODE_FLAT_INLINE
  /** Behind a table of addresses, all of them holes: the data is in a backing file, or zeros. */
  | typeof EROFS_INODE_CHUNK_BASED;

/** An inode as it stands in the image. */
export interface ErofsInode {
  readonly nid: Nid;
  /** Byte offset of the inode. */
  readonly offset: number;
  readonly kind: NodeKind;
  readonly extended: boolean;
  readonly layout: DataLayout;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly nlink: number;
  /** Bytes of data; at most 2^53. Nothing is known yet of what is there. */
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a compact inode: the build time of the image. */
  readonly mtime: Timestamp;
  /** `i_ino`, once meant for `stat` with 32 bits; Linux shows the nid. */
  readonly ino: number;
  /** First block, device number or chunk format: `i_u`. */
  readonly u: number;
  /** Bytes of the xattr area, 0 for none, and where it starts. */
  readonly xattrSize: number;
  readonly xattrOffset: number;
  /** Where the inline tail or the chunk table starts. */
  readonly tailOffset: number;
}

/** A directory's inode. */
export type DirectoryInode = ErofsInode & { readonly kind: "directory" };
/** A symlink's inode. */
export type SymlinkInode = ErofsInode & { readonly kind: "symlink" };
/** A regular file's inode. */
export type FileInode = ErofsInode & { readonly kind: "file" };

/** Where the bytes of a flat inode are: `blocksLength` bytes at `blocksOffset`, then the tail. */
export interface FlatExtents {
  readonly blocksOffset: number;
  readonly blocksLength: number;
  readonly tailOffset: number;
  readonly tailLength: number;
}

/** The upper half of 2^53. */
const MAX_SIZE_HIGH = 0x20_0000;

/** Byte offset of a node number's inode. */
export function inodeOffset(superBlock: SuperBlock, nid: number): number {
  return superBlock.metaBlkaddr * EROFS_BLKSIZ + nid * EROFS_SLOTSIZE;
}

/**
 * Whether an inode could stand at this node number: inside the image and not in front of the super
 * block's end. `at` is where the number was found.
 */
export function checkNid(
  reader: SourceReader,
  superBlock: SuperBlock,
  nid: number,
  at: number,
): Nid {
  const offset = inodeOffset(superBlock, nid);
  if (offset + INODE_COMPACT.size > reader.size) {
    throw corrupt(at, `nid ${nid} is beyond the end of the image`);
  }
  if (offset < EROFS_SUPER_OFFSET + SUPER_BLOCK.size) {
    throw corrupt(at, `nid ${nid} is inside the super block`);
  }
  return nid as Nid;
}

/**
 * Decodes an inode and checks that it and its xattr area lie inside the image. Its data is checked
 * by who reads it. Throws `corrupt-image`, and `unsupported-image` for compressed data.
 */
export function decodeInode(reader: SourceReader, superBlock: SuperBlock, nid: Nid): ErofsInode {
  const offset = inodeOffset(superBlock, nid);
  const format = reader.u16(offset + INODE_COMPACT.format);
  const extended = ((format >> EROFS_I_VERSION_BIT) & EROFS_I_VERSION_MASK) === 1;
  const mode = reader.u16(offset + INODE_COMPACT.mode);
  const kind = kindOfMode(mode);
  if (kind === undefined) {
    throw corrupt(offset + INODE_COMPACT.mode, `mode 0${mode.toString(8)} has no file type`);
  }
  const layout = decodeLayout(format, kind, offset);
  const xattrSize = xattrAreaSize(reader.u16(offset + INODE_COMPACT.xattrIcount));
  const xattrOffset = offset + (extended ? INODE_EXTENDED.size : INODE_COMPACT.size);
  const tailOffset = xattrOffset + xattrSize;
  if (tailOffset > reader.size) {
    throw corrupt(offset, `inode of ${tailOffset - offset} bytes is cut off by the image's end`);
  }
  return {
    nid,
    offset,
    kind,
    extended,
    layout,
    mode: mode & 0o7777,
    nlink: extended
      ? reader.u32(offset + INODE_EXTENDED.nlink)
      : reader.u16(offset + INODE_COMPACT.nlink),
    size: extended
      ? decodeSize(reader, offset + INODE_EXTENDED.fileSize)
      : reader.u32(offset + INODE_COMPACT.fileSize),
    uid: extended
      ? reader.u32(offset + INODE_EXTENDED.uid)
      : reader.u16(offset + INODE_COMPACT.uid),
    gid: extended
      ? reader.u32(offset + INODE_EXTENDED.gid)
      : reader.u16(offset + INODE_COMPACT.gid),
    mtime: extended
      ? {
          sec: reader.i64(offset + INODE_EXTENDED.mtime),
          nsec: reader.u32(offset + INODE_EXTENDED.mtimeNsec),
        }
      : superBlock.buildTime,
    ino: reader.u32(offset + INODE_COMPACT.ino),
    u: reader.u32(offset + INODE_COMPACT.u),
    xattrSize,
    xattrOffset,
    tailOffset,
  };
}

/** Bytes of the xattr area for an `i_xattr_icount`, which counts 4-byte units after the header. */
export function xattrAreaSize(icount: number): number {
  return icount === 0 ? 0 : XATTR_IBODY_HEADER.size + (icount - 1) * XATTR_ENTRY.size;
}

/**
 * Where the data of a directory, symlink or inline file is, checked to be inside the image.
 * The inode's layout is not chunk-based.
 */
export function flatExtents(reader: SourceReader, inode: ErofsInode): FlatExtents {
  const { size, tailOffset } = inode;
  const inline = inode.layout === EROFS_INODE_FLAT_INLINE && size > 0;
  // As the kernel has it: the last block is the tail, even if it is a full one.
  const blocksLength = inline ? (Math.ceil(size / EROFS_BLKSIZ) - 1) * EROFS_BLKSIZ : size;
  const tailLength = size - blocksLength;
  const blocksOffset = inode.u * EROFS_BLKSIZ;
  if (tailOffset + tailLength > reader.size) {
    throw corrupt(inode.offset, `inline data of ${tailLength} bytes is cut off by the image's end`);
  }
  if (blocksLength > 0) {
    if (blocksOffset + blocksLength > reader.size) {
      throw corrupt(
        inode.offset + INODE_COMPACT.u,
        `data of ${blocksLength} bytes from block ${inode.u} on is beyond the end of the image`,
      );
    }
    if (inode.u === 0) {
      throw corrupt(inode.offset + INODE_COMPACT.u, "data is said to be in the super block");
    }
  }
  return { blocksOffset, blocksLength, tailOffset, tailLength };
}

function decodeLayout(format: number, kind: NodeKind, offset: number): DataLayout {
  const layout = (format >> EROFS_I_DATALAYOUT_BIT) & EROFS_I_DATALAYOUT_MASK;
  const known =
    layout === EROFS_INODE_FLAT_PLAIN ||
    layout === EROFS_INODE_FLAT_INLINE ||
    (layout === EROFS_INODE_CHUNK_BASED && kind === "file");
  if (!known || (format & ~EROFS_I_ALL) !== 0) {
    throw new ImageError(
      "unsupported-image",
      offset + INODE_COMPACT.format,
      `composefs has no ${kind} inode of format 0x${format.toString(16)} (at offset ${offset})`,
    );
  }
  return layout;
}

function decodeSize(reader: SourceReader, at: number): number {
  const low = reader.u32(at);
  const high = reader.u32(at + 4);
  if (high > MAX_SIZE_HIGH || (high === MAX_SIZE_HIGH && low > 0)) {
    throw corrupt(at, "a size above 2^53 bytes");
  }
  return high * 2 ** 32 + low;
}

function corrupt(offset: number, reason: string): ImageError {
  return new ImageError("corrupt-image", offset, reason);
}
