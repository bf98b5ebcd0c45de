/**
 * Gives every inode of a plan its place: second third of the writer.
 *
 * Inodes lie in 32-byte slots from offset 1152 on. What follows an inode's xattrs (its tail) must not
 * cross a block boundary, so there is padding in front of some inodes; each version pads in its own
 * way, and the digest of an image depends on every byte of it.
 */

import type { FileContent } from "../tree/node.ts";
import {
  DIRENT,
  EROFS_BLKSIZ,
  EROFS_BLKSIZ_BITS,
  EROFS_CHUNK_FORMAT_BLKBITS_MASK,
  EROFS_SLOTSIZE,
  EROFS_SUPER_OFFSET,
  EROFS_XATTR_LONG_PREFIX,
  INODE_COMPACT,
  INODE_EXTENDED,
  SUPER_BLOCK,
  XATTR_IBODY_HEADER,
} from "./format.ts";
import type { ImagePlan, PlannedDirent, PlannedInode } from "./plan.ts";
import { ComposefsError } from "../errors.ts";

/** Where the parts of an image lie. */
export interface ImageLayout {
  /** Byte offset behind the last inode: there the shared xattrs start. */
  readonly inodesEnd: number;
  /** Byte offset of the first data block. */
  readonly dataStart: number;
  /** Bytes of the whole image. */
  readonly size: number;
}

/** Largest tail that is put behind an inode instead of into a block of its own. */
const TAIL_MAX = EROFS_BLKSIZ / 2;
const UINT16_MAX = 0xffff;
const UINT32_MAX = 0xffffffff;
const CHUNK_INDEX_SIZE = 4;

/** Assigns the places; fills in the fields of the plan's inodes. */
export function layoutImage(plan: ImagePlan): ImageLayout {
  const place = plan.version === 2 ? placeInodeV2 : placeInode;
  let position = EROFS_SUPER_OFFSET + SUPER_BLOCK.size;
  let blocks = 0;
  for (const inode of plan.inodes) {
    measureContent(inode, plan.version === 2);
    measureXattrs(inode, plan.version === 2);
    inode.isCompact = plan.traits.compactInodes && fitsCompact(inode, plan);
    inode.offset = place(inode, roundUp(position, EROFS_SLOTSIZE));
    position = inode.offset + headSize(inode) + inode.tailSize;
    blocks += inode.blocks;
  }
  const inodesEnd = roundUp(position, EROFS_SLOTSIZE);
  let sharedSize = 0;
  for (const xattr of plan.shared) sharedSize += xattr.size;
  const dataStart = roundUp(inodesEnd + sharedSize, EROFS_BLKSIZ);
  let address = dataStart / EROFS_BLKSIZ;
  for (const inode of plan.inodes) {
    inode.blockAddress = address;
    address += inode.blocks;
  }
  if (address > UINT32_MAX) {
    throw new ComposefsError(
      "image-too-large",
      `Cannot write image: ${address} blocks, at most 2^32 - 1`,
    );
  }
  return { inodesEnd, dataStart, size: dataStart + blocks * EROFS_BLKSIZ };
}

/** How a file of `size` bytes is cut into chunks: as few as the format allows. */
export function chunking(size: number): { readonly bits: number; readonly count: number } {
  const most = EROFS_CHUNK_FORMAT_BLKBITS_MASK + EROFS_BLKSIZ_BITS;
  const last = size - 1;
  // Bits of `last`, in two halves because bit operations are on 32.
  const high = Math.floor(last / 2 ** 32);
  const needed = high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(last);
  const bits = Math.min(Math.max(needed, EROFS_BLKSIZ_BITS), most);
  // Powers cost 10 ms in 100,000 files, and of a chunk that holds it all there is one.
  return { bits, count: needed <= most ? 1 : Math.ceil(size / 2 ** most) };
}

/** Where the run of directory entries that starts at `first` ends: as many as fit a block. */
export function direntRunEnd(dirents: readonly PlannedDirent[], first: number): number {
  let bytes = 0;
  for (let i = first; i < dirents.length; i++) {
    bytes += DIRENT.size + dirents[i]!.name.length;
    if (bytes > EROFS_BLKSIZ) return i;
  }
  return dirents.length;
}

/** Size as stored: what a directory's entries take, what a file or symlink holds, else 0. */
export function storedSize(inode: PlannedInode): number {
  const { node } = inode;
  switch (node.kind) {
    case "directory":
      return inode.blocks * EROFS_BLKSIZ + inode.tailSize;
    case "file":
      return contentSize(node.content);
    case "symlink":
      return node.target.length;
    default:
      return 0;
  }
}

/** Bytes of an inode with its xattrs, without its tail. */
export function headSize(inode: PlannedInode): number {
  return (inode.isCompact ? INODE_COMPACT.size : INODE_EXTENDED.size) + inode.xattrSize;
}

function contentSize(content: FileContent): number {
  return content.kind === "inline" ? content.data.length : content.size;
}

function measureContent(inode: PlannedInode, isV2: boolean): void {
  const { node } = inode;
  switch (node.kind) {
    case "directory":
      return measureDirents(inode);
    case "symlink":
      inode.tailSize = node.target.length;
      return;
    case "file":
      break;
    default:
      return;
  }
  const { content } = node;
  if (content.kind === "inline") {
    setTail(inode, content.data.length, isV2 ? EROFS_BLKSIZ - 1 : TAIL_MAX);
    if (isV2 && inode.blocks > 0) {
      throw new ComposefsError(
        "invalid-tree",
        `Cannot write image: inline content of ${content.data.length} bytes does not fit format version 2`,
      );
    }
  } else if (isV2) {
    // V2 has one index for a file with a digest and none for the others.
    const hasDigest = content.kind === "external" && content.digest !== undefined;
    inode.tailSize = hasDigest ? CHUNK_INDEX_SIZE : 0;
  } else {
    inode.tailSize = chunking(content.size).count * CHUNK_INDEX_SIZE;
  }
}

function measureDirents(inode: PlannedInode): void {
  let blocks = 0;
  let bytes = 0;
  for (const { name } of inode.dirents!) {
    const length = DIRENT.size + name.length;
    if (bytes + length > EROFS_BLKSIZ) {
      blocks++;
      bytes = 0;
    }
    bytes += length;
  }
  inode.blocks = bytes > TAIL_MAX ? blocks + 1 : blocks;
  inode.tailSize = bytes > TAIL_MAX ? 0 : bytes;
}

function setTail(inode: PlannedInode, size: number, most: number): void {
  const tail = size % EROFS_BLKSIZ;
  inode.blocks = Math.floor(size / EROFS_BLKSIZ) + (tail > most ? 1 : 0);
  inode.tailSize = tail > most ? 0 : tail;
}

function measureXattrs(inode: PlannedInode, isV2: boolean): void {
  if (inode.xattrs.length === 0) return;
  const most = isV2 ? 0xff : EROFS_XATTR_LONG_PREFIX;
  let size = XATTR_IBODY_HEADER.size;
  for (const xattr of inode.xattrs) {
    if (xattr.sharedOffset >= 0 && inode.sharedCount < most) {
      inode.sharedCount++;
      size += 4;
    } else {
      size += xattr.size;
    }
  }
  inode.xattrSize = size;
}

/** Whether the short inode can hold it: it has no time, and 16 or 32 bits for the rest. */
function fitsCompact(inode: PlannedInode, plan: ImagePlan): boolean {
  const { node } = inode;
  const { uid, gid, mtime } = node.stat;
  const { buildTime } = plan;
  const size = "claimedSize" in node ? node.claimedSize : storedSize(inode);
  return (
    (mtime === buildTime || (mtime.sec === buildTime.sec && mtime.nsec === buildTime.nsec)) &&
    inode.nlink <= UINT16_MAX &&
    uid <= UINT16_MAX &&
    gid <= UINT16_MAX &&
    size <= UINT32_MAX
  );
}

/** V0, V1: the place of an inode that could start at `position`. May move its tail to a block. */
function placeInode(inode: PlannedInode, position: number): number {
  const head = headSize(inode);
  if (inode.node.kind === "symlink") {
    // The kernel before 6.12 reads a symlink only if inode and target lie in one block.
    const total = head + inode.tailSize;
    const crosses = blockOf(position) !== blockOf(position + total - 1);
    if (total >= EROFS_BLKSIZ) moveTail(inode);
    return crosses ? roundUp(position, EROFS_BLKSIZ) : position;
  }
  const left = EROFS_BLKSIZ - ((position + head) % EROFS_BLKSIZ);
  if (left >= inode.tailSize) return position;
  const padded = position + roundUp(left, EROFS_SLOTSIZE);
  // Rounding to a slot can overshoot the block's start so far that a large tail does not fit either.
  if (inode.tailSize <= EROFS_BLKSIZ - ((padded + head) % EROFS_BLKSIZ)) return padded;
  moveTail(inode);
  return roundUp(position, EROFS_BLKSIZ);
}

function moveTail(inode: PlannedInode): void {
  inode.blocks++;
  inode.tailSize = 0;
}

/** V2: pads as composefs-rs does, by the last byte of the head and the first one behind the tail. */
function placeInodeV2(inode: PlannedInode, position: number): number {
  const isChunked = inode.node.kind === "file" && inode.node.content.kind !== "inline";
  if (isChunked || inode.tailSize === 0) return position;
  const tailStart = position + headSize(inode);
  const lastOfHead = tailStart - 1;
  const behindTail = tailStart + (storedSize(inode) % EROFS_BLKSIZ);
  if (blockOf(lastOfHead) === blockOf(behindTail)) return position;
  return roundUp(position + EROFS_BLKSIZ - (lastOfHead % EROFS_BLKSIZ), EROFS_SLOTSIZE);
}

function blockOf(position: number): number {
  return Math.floor(position / EROFS_BLKSIZ);
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
