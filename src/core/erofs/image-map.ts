/**
 * What lies where in an image, as far as it can be found out.
 *
 * For `explain`, which must have something to say about images that are broken: whatever cannot be
 * decoded is left out and the search goes on. Whether an image is sound is not decided here.
 */

import { EMPTY, concatByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { SourceReader } from "../bytes/reader.ts";
import { ImageError } from "../errors.ts";
import { CHUNK_ADDRESS_SIZE, chunkTable } from "./chunk.ts";
import { direntBlock, direntBlockCount } from "./dirent.ts";
import type { DirentBlock } from "./dirent.ts";
import {
  COMPOSEFS_HEADER,
  DIRENT,
  EROFS_INODE_CHUNK_BASED,
  EROFS_NULL_ADDR,
  EROFS_SUPER_OFFSET,
  INODE_COMPACT,
  INODE_EXTENDED,
  SUPER_BLOCK,
  XATTR_ENTRY,
} from "./format.ts";
import { checkNid, flatExtents, inodeOffset } from "./inode.ts";
import type { ErofsInode, FlatExtents, Nid } from "./inode.ts";
import { isDirectory, isFile } from "./reader.ts";
import type { ErofsImage } from "./reader.ts";
import { sharedXattrIds, sharedXattrOffset } from "./xattr.ts";

/** A structure of the image and where it is. */
export interface Extent {
  readonly kind: "header" | "super-block" | "inode" | "shared-xattr" | "directory" | "data";
  readonly offset: number;
  readonly length: number;
  /** Of an inode and its data. */
  readonly nid: Nid | undefined;
  /** Of an inode and its data: the first path that leads there. */
  readonly path: ByteString;
}

/** An entry of a directory block, unchecked but for being inside its block. */
export interface RawDirent {
  readonly offset: number;
  readonly nid: number;
  readonly nameStart: number;
  readonly nameEnd: number;
}

/** The two structures that stand at the start of each image. */
export const START_EXTENTS: readonly Extent[] = [
  { kind: "header", offset: 0, length: COMPOSEFS_HEADER.size, nid: undefined, path: EMPTY },
  {
    kind: "super-block",
    offset: EROFS_SUPER_OFFSET,
    length: SUPER_BLOCK.size,
    nid: undefined,
    path: EMPTY,
  },
];

/** Finds all structures that can be reached from the root, in the order of their offsets. */
export function mapImage(image: ErofsImage): Extent[] {
  const mapper = new ImageMapper(image);
  mapper.run();
  return [...START_EXTENTS, ...mapper.extents].sort((a, b) => a.offset - b.offset);
}

class ImageMapper {
  readonly extents: Extent[] = [];
  readonly #image: ErofsImage;
  readonly #reader: SourceReader;
  readonly #queue: { readonly nid: Nid; readonly path: ByteString }[] = [];
  readonly #seen = new Set<Nid>();
  readonly #seenShared = new Set<number>();
  /** Bytes that inodes may still lay claim to: overlapping ones could keep us busy for hours. */
  #budget: number;

  constructor(image: ErofsImage) {
    this.#image = image;
    this.#reader = image.reader;
    this.#budget = image.size;
  }

  run(): void {
    this.#enqueue(this.#image.rootNid, EMPTY);
    for (let next = this.#queue.pop(); next !== undefined; next = this.#queue.pop()) {
      const { nid, path } = next;
      unlessCorrupt(() => this.#inode(nid, path));
    }
  }

  #enqueue(nid: Nid, path: ByteString): void {
    if (this.#seen.has(nid)) return;
    this.#seen.add(nid);
    this.#queue.push({ nid, path });
  }

  #inode(nid: Nid, path: ByteString): void {
    const inode = unlessCorrupt(() => this.#image.inode(nid));
    if (inode === undefined) {
      const offset = inodeOffset(this.#image.superBlock, nid);
      const isExtended = (this.#reader.u8(offset) & 1) === 1;
      this.#add("inode", offset, inodeHeaderSize(isExtended), nid, path);
      return;
    }
    const flat = flatExtentsIfSound(this.#reader, inode);
    const tail = flat?.tailLength ?? chunkTableSize(this.#image, inode);
    this.#add("inode", inode.offset, inode.tailOffset + tail - inode.offset, nid, path);
    this.#budget -= inode.tailOffset - inode.offset + (flat === undefined ? 0 : inode.size);
    if (this.#budget < 0) return;
    unlessCorrupt(() => this.#sharedXattrs(inode));
    if (flat === undefined) return;
    if (isDirectory(inode)) this.#directory(flat, nid, path);
    else if (flat.blocksLength > 0) {
      this.#add("data", flat.blocksOffset, flat.blocksLength, nid, path);
    }
  }

  #directory(flat: FlatExtents, nid: Nid, path: ByteString): void {
    const count = direntBlockCount(flat);
    for (let index = 0; index < count; index++) {
      const block = direntBlock(flat, index);
      if (block.offset !== flat.tailOffset) {
        this.#add("directory", block.offset, block.length, nid, path);
      }
      for (const entry of rawDirents(this.#reader, block)) {
        const name = this.#reader.text(entry.nameStart, entry.nameEnd - entry.nameStart);
        if (name === "." || name === "..") continue;
        unlessCorrupt(() => {
          const child = checkNid(this.#reader, this.#image.superBlock, entry.nid, entry.offset);
          this.#enqueue(child, concatByteStrings(path, "/" as ByteString, name));
        });
      }
    }
  }

  #sharedXattrs(inode: ErofsInode): void {
    for (const id of sharedXattrIds(this.#reader, inode)) {
      if (this.#seenShared.has(id)) continue;
      this.#seenShared.add(id);
      const offset = sharedXattrOffset(this.#image.superBlock, id);
      const nameLen = this.#reader.u8(offset + XATTR_ENTRY.nameLen);
      const valueSize = this.#reader.u16(offset + XATTR_ENTRY.valueSize);
      const length = Math.ceil((XATTR_ENTRY.size + nameLen + valueSize) / 4) * 4;
      this.#add("shared-xattr", offset, length, undefined, EMPTY);
    }
  }

  #add(
    kind: Extent["kind"],
    offset: number,
    length: number,
    nid: Nid | undefined,
    path: ByteString,
  ): void {
    if (offset + length <= this.#image.size) this.extents.push({ kind, offset, length, nid, path });
  }
}

/** The entries of a block, as many as it can hold and with the names cut to what is there. */
export function rawDirents(reader: SourceReader, block: DirentBlock): RawDirent[] {
  const entries: RawDirent[] = [];
  const end = block.offset + block.length;
  if (block.length < DIRENT.size) return entries;
  const namesStart = Math.min(reader.u16(block.offset + DIRENT.nameoff), block.length);
  const count = Math.floor(namesStart / DIRENT.size);
  for (let i = 0; i < count; i++) {
    const offset = block.offset + i * DIRENT.size;
    const nameStart = block.offset + reader.u16(offset + DIRENT.nameoff);
    const isLast = i + 1 === count;
    const nameEnd = isLast ? end : block.offset + reader.u16(offset + DIRENT.size + DIRENT.nameoff);
    if (nameStart < block.offset + namesStart || nameEnd < nameStart || nameEnd > end) break;
    const name = isLast ? reader.text(nameStart, nameEnd - nameStart) : EMPTY;
    const nul = name.indexOf("\0");
    entries.push({
      offset,
      nid: reader.u64(offset + DIRENT.nid),
      nameStart,
      nameEnd: nul < 0 ? nameEnd : nameStart + nul,
    });
  }
  return entries;
}

/** Bytes of an inode without what follows it. */
function inodeHeaderSize(isExtended: boolean): number {
  return isExtended ? INODE_EXTENDED.size : INODE_COMPACT.size;
}

/** Where flat data is; nothing for other layouts, and for data that is not inside the image. */
function flatExtentsIfSound(reader: SourceReader, inode: ErofsInode): FlatExtents | undefined {
  if (inode.layout === EROFS_INODE_CHUNK_BASED) return undefined;
  return unlessCorrupt(() => flatExtents(reader, inode));
}

/** Bytes of the chunk table behind an inode, as far as it is there. */
function chunkTableSize(image: ErofsImage, inode: ErofsInode): number {
  if (!isFile(inode) || inode.layout !== EROFS_INODE_CHUNK_BASED) return 0;
  const table = unlessCorrupt(() => chunkTable(inode));
  if (table === undefined) return 0;
  if (image.header.version === 2) {
    // One address where there is a digest, however large the file; without one, none.
    const isThere =
      inode.tailOffset + CHUNK_ADDRESS_SIZE <= image.size &&
      image.reader.u32(inode.tailOffset) === EROFS_NULL_ADDR;
    return isThere ? CHUNK_ADDRESS_SIZE : 0;
  }
  const size = table.count * CHUNK_ADDRESS_SIZE;
  return table.isInline && inode.tailOffset + size <= image.size ? size : 0;
}

function unlessCorrupt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
