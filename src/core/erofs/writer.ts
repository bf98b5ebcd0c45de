/**
 * Writes an EROFS image: same tree, same bytes, in the layout of each format version.
 *
 * Last third of the writer: plan (`plan.ts`) and layout (`layout.ts`) -> bytes.
 */

import { writeByteString } from "../bytes/byte-string.ts";
import type { Directory, Leaf } from "../tree/node.ts";
import type { ValidatedTree } from "../tree/validate.ts";
import {
  COMPOSEFS_HEADER,
  DIRENT,
  EROFS_BLKSIZ,
  EROFS_BLKSIZ_BITS,
  EROFS_CHUNK_FORMAT_BLKBITS_MASK,
  EROFS_FEATURE_COMPAT_MTIME,
  EROFS_FEATURE_COMPAT_XATTR_FILTER,
  EROFS_FT,
  EROFS_INODE_CHUNK_BASED,
  EROFS_INODE_FLAT_INLINE,
  EROFS_INODE_FLAT_PLAIN,
  EROFS_I_DATALAYOUT_BIT,
  EROFS_I_VERSION_BIT,
  EROFS_NULL_ADDR,
  EROFS_SLOTSIZE,
  EROFS_SUPER_MAGIC_V1,
  EROFS_SUPER_OFFSET,
  EROFS_XATTR_FILTER_DEFAULT,
  INODE_COMPACT,
  INODE_EXTENDED,
  LCFS_EROFS_FLAGS_HAS_ACL,
  LCFS_EROFS_MAGIC,
  LCFS_EROFS_VERSION,
  LCFS_MAX_NONINLINE_CHUNKS,
  SUPER_BLOCK,
  XATTR_ENTRY,
  XATTR_IBODY_HEADER,
} from "./format.ts";
import { chunking, direntRunEnd, headSize, layoutImage, storedSize } from "./layout.ts";
import type { ImageLayout } from "./layout.ts";
import { planImage } from "./plan.ts";
import type { ImagePlan, PlannedDirent, PlannedInode } from "./plan.ts";
import type { FormatVersion } from "./version.ts";
import { writeXattrValue } from "./xattr-pool.ts";
import type { PooledXattr } from "./xattr-pool.ts";

/** Which format version to write. */
export interface WriteImageOptions {
  readonly version: FormatVersion;
  /**
   * Called every few megabytes with the image, of which the bytes before `end` are as they will be:
   * another thread can write them to a file while the rest is made.
   */
  readonly onMade?: ((image: Uint8Array, end: number) => void) | undefined;
}

/** Bytes between two calls of `onMade`: 20 ms of work. */
const MADE_STEP = 1 << 22;

/** Returns the image. The buffer is the caller's. */
export function writeImage(tree: ValidatedTree, options: WriteImageOptions): Uint8Array {
  const plan = planImage(tree, options.version);
  const layout = layoutImage(plan);
  return new ImageEncoder(plan, layout).encode(options.onMade);
}

class ImageEncoder {
  readonly #plan: ImagePlan;
  readonly #layout: ImageLayout;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** In shared references of V0 and V1: words from here; V2 counts from the image's start. */
  readonly #sharedBase: number;

  constructor(plan: ImagePlan, layout: ImageLayout) {
    this.#plan = plan;
    this.#layout = layout;
    this.#bytes = new Uint8Array(layout.size);
    this.#view = new DataView(this.#bytes.buffer);
    this.#sharedBase = plan.version === 2 ? layout.inodesEnd : layout.inodesEnd % EROFS_BLKSIZ;
  }

  encode(onMade: WriteImageOptions["onMade"]): Uint8Array {
    this.#encodeHeader();
    this.#encodeSuperBlock();
    const { inodes } = this.#plan;
    let next = MADE_STEP;
    for (let ino = 0; ino < inodes.length; ino++) {
      const inode = inodes[ino]!;
      // In front of an inode all is made; directory blocks and long content come far behind.
      if (inode.offset >= next) {
        onMade?.(this.#bytes, inode.offset);
        next = inode.offset + MADE_STEP;
      }
      this.#encodeInode(inode, ino);
    }
    let at = this.#layout.inodesEnd;
    for (const xattr of this.#plan.shared) at = this.#encodeXattr(xattr, at);
    return this.#bytes;
  }

  #encodeHeader(): void {
    const view = this.#view;
    view.setUint32(COMPOSEFS_HEADER.magic, LCFS_EROFS_MAGIC, true);
    view.setUint32(COMPOSEFS_HEADER.version, LCFS_EROFS_VERSION, true);
    view.setUint32(COMPOSEFS_HEADER.flags, this.#plan.hasAcl ? LCFS_EROFS_FLAGS_HAS_ACL : 0, true);
    view.setUint32(COMPOSEFS_HEADER.composefsVersion, this.#plan.version, true);
  }

  #encodeSuperBlock(): void {
    const { inodes, buildTime, version } = this.#plan;
    const { inodesEnd, size } = this.#layout;
    const view = new DataView(this.#bytes.buffer, EROFS_SUPER_OFFSET, SUPER_BLOCK.size);
    const features = EROFS_FEATURE_COMPAT_MTIME | EROFS_FEATURE_COMPAT_XATTR_FILTER;
    view.setUint32(SUPER_BLOCK.magic, EROFS_SUPER_MAGIC_V1, true);
    view.setUint32(SUPER_BLOCK.featureCompat, features, true);
    view.setUint8(SUPER_BLOCK.blkszbits, EROFS_BLKSIZ_BITS);
    view.setUint16(SUPER_BLOCK.rootNid, nidOf(inodes[0]!), true);
    view.setUint32(SUPER_BLOCK.inos, inodes.length, true);
    view.setBigInt64(SUPER_BLOCK.buildTime, buildTime.sec, true);
    view.setUint32(SUPER_BLOCK.buildTimeNsec, buildTime.nsec, true);
    view.setUint32(SUPER_BLOCK.blocks, size / EROFS_BLKSIZ, true);
    const xattrBlock = version === 2 ? 0 : Math.floor(inodesEnd / EROFS_BLKSIZ);
    view.setUint32(SUPER_BLOCK.xattrBlkaddr, xattrBlock, true);
  }

  #encodeInode(inode: PlannedInode, ino: number): void {
    if (inode.isCompact) this.#encodeCompact(inode, ino);
    else this.#encodeExtended(inode, this.#plan.version === 2 ? nidOf(inode) : ino);
    const xattrsAt = inode.offset + (inode.isCompact ? INODE_COMPACT.size : INODE_EXTENDED.size);
    if (inode.xattrs.length > 0) this.#encodeInodeXattrs(inode, xattrsAt);
    this.#encodeContent(inode, inode.offset + headSize(inode));
  }

  #encodeCompact(inode: PlannedInode, ino: number): void {
    const view = this.#view;
    const at = inode.offset;
    const { stat } = inode.node;
    view.setUint16(at + INODE_COMPACT.format, dataLayout(inode) << EROFS_I_DATALAYOUT_BIT, true);
    view.setUint16(at + INODE_COMPACT.xattrIcount, xattrIcount(inode), true);
    view.setUint16(at + INODE_COMPACT.mode, inode.mode, true);
    view.setUint16(at + INODE_COMPACT.nlink, inode.nlink, true);
    view.setUint32(at + INODE_COMPACT.fileSize, storedSize(inode), true);
    view.setUint32(at + INODE_COMPACT.u, this.#inodeUnion(inode), true);
    view.setUint32(at + INODE_COMPACT.ino, ino, true);
    view.setUint16(at + INODE_COMPACT.uid, stat.uid, true);
    view.setUint16(at + INODE_COMPACT.gid, stat.gid, true);
  }

  #encodeExtended(inode: PlannedInode, ino: number): void {
    const view = this.#view;
    const at = inode.offset;
    const { stat } = inode.node;
    const format = (dataLayout(inode) << EROFS_I_DATALAYOUT_BIT) | (1 << EROFS_I_VERSION_BIT);
    const size = storedSize(inode);
    view.setUint16(at + INODE_EXTENDED.format, format, true);
    view.setUint16(at + INODE_EXTENDED.xattrIcount, xattrIcount(inode), true);
    view.setUint16(at + INODE_EXTENDED.mode, inode.mode, true);
    view.setUint32(at + INODE_EXTENDED.fileSize, size % 2 ** 32, true);
    view.setUint32(at + INODE_EXTENDED.fileSize + 4, Math.floor(size / 2 ** 32), true);
    view.setUint32(at + INODE_EXTENDED.u, this.#inodeUnion(inode), true);
    view.setUint32(at + INODE_EXTENDED.ino, ino, true);
    view.setUint32(at + INODE_EXTENDED.uid, stat.uid, true);
    view.setUint32(at + INODE_EXTENDED.gid, stat.gid, true);
    view.setBigInt64(at + INODE_EXTENDED.mtime, stat.mtime.sec, true);
    const nsec = this.#plan.traits.nanoseconds ? stat.mtime.nsec : 0;
    view.setUint32(at + INODE_EXTENDED.mtimeNsec, nsec, true);
    view.setUint32(at + INODE_EXTENDED.nlink, inode.nlink, true);
  }

  /** `i_u`: device number, first block, or chunk format (over the low half of the first block). */
  #inodeUnion(inode: PlannedInode): number {
    const { node } = inode;
    if (node.kind === "chardev" || node.kind === "blockdev") return node.rdev;
    // V2 gives an inode without blocks the address where its blocks would be, but only if it has no tail.
    const plainV2 = this.#plan.version === 2 && node.kind === "directory" && inode.tailSize === 0;
    const address = inode.blocks > 0 || plainV2 ? inode.blockAddress : 0;
    if (!isChunked(node)) return address;
    if (this.#plan.version === 2) return EROFS_CHUNK_FORMAT_BLKBITS_MASK;
    const format = chunking(storedSize(inode)).bits - EROFS_BLKSIZ_BITS;
    return ((address & 0xffff0000) | format) >>> 0;
  }

  #encodeInodeXattrs(inode: PlannedInode, start: number): void {
    let filter = 0;
    for (const { name } of inode.xattrs) filter |= 1 << name.filterBit;
    this.#view.setUint32(
      start + XATTR_IBODY_HEADER.nameFilter,
      (EROFS_XATTR_FILTER_DEFAULT & ~filter) >>> 0,
      true,
    );
    this.#view.setUint8(start + XATTR_IBODY_HEADER.sharedCount, inode.sharedCount);
    let reference = start + XATTR_IBODY_HEADER.size;
    let entry = reference + 4 * inode.sharedCount;
    let left = inode.sharedCount;
    for (const xattr of inode.xattrs) {
      if (xattr.sharedOffset >= 0 && left > 0) {
        this.#view.setUint32(reference, (this.#sharedBase + xattr.sharedOffset) / 4, true);
        reference += 4;
        left--;
      } else {
        entry = this.#encodeXattr(xattr, entry);
      }
    }
  }

  /** Writes an entry and returns where the next one starts. */
  #encodeXattr(xattr: PooledXattr, at: number): number {
    const { index, suffix } = xattr.name;
    this.#view.setUint8(at + XATTR_ENTRY.nameLen, suffix.length);
    this.#view.setUint8(at + XATTR_ENTRY.nameIndex, index);
    this.#view.setUint16(at + XATTR_ENTRY.valueSize, xattr.valueSize, true);
    writeByteString(suffix, this.#bytes, at + XATTR_ENTRY.size);
    writeXattrValue(xattr, this.#bytes, at + XATTR_ENTRY.size + suffix.length);
    return at + xattr.size;
  }

  #encodeContent(inode: PlannedInode, tailAt: number): void {
    const { node } = inode;
    const blocksAt = inode.blockAddress * EROFS_BLKSIZ;
    switch (node.kind) {
      case "directory": {
        const dirents = inode.dirents!;
        let first = 0;
        for (let block = 0; first < dirents.length; block++) {
          const end = direntRunEnd(dirents, first);
          const at = block < inode.blocks ? blocksAt + block * EROFS_BLKSIZ : tailAt;
          this.#encodeDirents(dirents, first, end, at);
          first = end;
        }
        return;
      }
      case "symlink":
        writeByteString(node.target, this.#bytes, inode.blocks > 0 ? blocksAt : tailAt);
        return;
      case "file":
        if (node.content.kind === "inline") {
          const { data } = node.content;
          const inBlocks = data.length - inode.tailSize;
          this.#bytes.set(data.subarray(0, inBlocks), blocksAt);
          this.#bytes.set(data.subarray(inBlocks), tailAt);
        } else if (inode.blocks > 0) {
          this.#encodeHoles(blocksAt, LCFS_MAX_NONINLINE_CHUNKS);
        } else {
          this.#encodeHoles(tailAt, inode.tailSize / 4);
        }
        return;
      default:
        return;
    }
  }

  #encodeHoles(at: number, count: number): void {
    for (let i = 0; i < count; i++) this.#view.setUint32(at + 4 * i, EROFS_NULL_ADDR, true);
  }

  /** Writes the entries from `first` to `end` as one run at byte offset `start`. */
  #encodeDirents(
    dirents: readonly PlannedDirent[],
    first: number,
    end: number,
    start: number,
  ): void {
    let nameAt = (end - first) * DIRENT.size;
    for (let i = first; i < end; i++) {
      const { name, inode } = dirents[i]!;
      const at = start + (i - first) * DIRENT.size;
      const nid = nidOf(inode);
      this.#view.setUint32(at + DIRENT.nid, nid % 2 ** 32, true);
      this.#view.setUint32(at + DIRENT.nid + 4, Math.floor(nid / 2 ** 32), true);
      this.#view.setUint16(at + DIRENT.nameoff, nameAt, true);
      this.#view.setUint8(at + DIRENT.fileType, EROFS_FT[inode.node.kind]);
      writeByteString(name, this.#bytes, start + nameAt);
      nameAt += name.length;
    }
  }
}

function nidOf(inode: PlannedInode): number {
  return inode.offset / EROFS_SLOTSIZE;
}

function xattrIcount(inode: PlannedInode): number {
  return inode.xattrSize === 0 ? 0 : (inode.xattrSize - XATTR_IBODY_HEADER.size) / 4 + 1;
}

function isChunked(node: Directory | Leaf): boolean {
  return node.kind === "file" && node.content.kind !== "inline";
}

function dataLayout(inode: PlannedInode): number {
  if (isChunked(inode.node)) return EROFS_INODE_CHUNK_BASED;
  return inode.tailSize > 0 ? EROFS_INODE_FLAT_INLINE : EROFS_INODE_FLAT_PLAIN;
}
