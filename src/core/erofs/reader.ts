/**
 * An open EROFS image: inodes, directories, xattrs and inline data, read when asked for.
 *
 * The image is hostile until its digest has been checked, and often it is read just to find that
 * out. So whatever it says is checked where it is used: an answer, or an `ImageError`. What is not
 * there to see one inode at a time (directories with two names, structures that overlap) is checked
 * by `readTree`.
 */

import { EMPTY, byteStringFrom } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { SourceReader } from "../bytes/reader.ts";
import type { ByteSource } from "../bytes/source.ts";
import { ImageError } from "../errors.ts";
import type { Xattrs } from "../tree/node.ts";
import { decodeDirents, direntBlock, direntBlockCount, firstDirentName } from "./dirent.ts";
import type { DirectoryEntry } from "./dirent.ts";
import { EROFS_INODE_CHUNK_BASED, EROFS_SUPER_OFFSET, PATH_MAX, SUPER_BLOCK } from "./format.ts";
import { checkNid, decodeInode, flatExtents } from "./inode.ts";
import type { DirectoryInode, ErofsInode, FileInode, Nid, SymlinkInode } from "./inode.ts";
import { OverlayXattrReader } from "./overlay-xattrs.ts";
import type { OverlayView } from "./overlay-xattrs.ts";
import { decodeImageStart } from "./superblock.ts";
import type { ComposefsHeader, SuperBlock } from "./superblock.ts";
import { FORMAT_TRAITS } from "./version.ts";
import {
  XattrNames,
  decodeXattr,
  inlineXattrsOffset,
  nextXattrOffset,
  sharedXattrIds,
  sharedXattrOffset,
} from "./xattr.ts";
import type { ErofsXattr } from "./xattr.ts";

/** Images up to this size are taken into memory as a whole by who reads all of them. */
const WHOLE_IMAGE_LIMIT = 512 * 2 ** 20;

const DOT = "." as ByteString;
const DOT_DOT = ".." as ByteString;

/** An xattr as it stands in the image. */
export interface RawXattr {
  /** The full name, escapes and all. */
  readonly name: ByteString;
  readonly value: Uint8Array;
  /** Whether it stands in the shared area. */
  readonly shared: boolean;
}

/**
 * Opens a composefs image of any version. The source must stay open and unchanged for as long as
 * the image is used. Reads the first block only. Throws `not-erofs`, `not-composefs`,
 * `unsupported-image` and `corrupt-image`, as do all methods of what it returns.
 */
export function openImage(source: ByteSource): ErofsImage {
  const reader = new SourceReader(
    source,
    (offset, length) =>
      new ImageError("corrupt-image", offset, `${length} bytes there are not inside the image`),
  );
  return new ErofsImage(reader);
}

/** An open image. Made by {@link openImage}. */
export class ErofsImage {
  readonly header: ComposefsHeader;
  readonly superBlock: SuperBlock;
  readonly rootNid: Nid;
  /** Bytes of the source. */
  readonly size: number;
  /** The bytes themselves, for the other readers of this room. */
  readonly reader: SourceReader;
  readonly #overlay: OverlayXattrReader;

  constructor(reader: SourceReader) {
    const { header, superBlock, rootNid } = decodeImageStart(reader);
    this.header = header;
    this.superBlock = superBlock;
    this.size = reader.size;
    this.reader = reader;
    this.rootNid = checkNid(reader, superBlock, rootNid, EROFS_SUPER_OFFSET + SUPER_BLOCK.rootNid);
    this.#overlay = new OverlayXattrReader(reader, superBlock);
  }

  /** Makes a node number of a number, if an inode can stand there. */
  nid(value: number): Nid {
    if (!Number.isSafeInteger(value)) throw corrupt(0, `${value} is not a node number`);
    return checkNid(this.reader, this.superBlock, value, 0);
  }

  /** The inode at a node number. */
  inode(nid: Nid): ErofsInode {
    return decodeInode(this.reader, this.superBlock, nid);
  }

  /** The inode of the root directory. */
  root(): DirectoryInode {
    const root = this.inode(this.rootNid);
    if (!isDirectory(root)) throw corrupt(root.offset, "the root is not a directory");
    return root;
  }

  /**
   * The entries of a directory in byte order of their names, without `.` and `..`, which are checked
   * to be there and right; `..` only where `parent` says what it must be. Whiteout stubs are among
   * them: see {@link isWhiteoutStub}.
   */
  *entries(directory: DirectoryInode, parent?: Nid): Generator<DirectoryEntry, void, undefined> {
    for (const entries of this.entryBlocks(directory, parent)) yield* entries;
  }

  /** The same, one block of the directory at a time. */
  *entryBlocks(
    directory: DirectoryInode,
    parent?: Nid,
  ): Generator<DirectoryEntry[], void, undefined> {
    const extents = flatExtents(this.reader, directory);
    const count = direntBlockCount(extents);
    let last = EMPTY;
    let dots = 0;
    for (let index = 0; index < count; index++) {
      const block = direntBlock(extents, index);
      const entries = decodeDirents(this.reader, this.superBlock, block, last);
      last = entries[entries.length - 1]!.name;
      // At most two in all blocks together, and in most directories in one place.
      for (let at = 0; at < entries.length && dots < 2;) {
        const entry = entries[at]!;
        if (entry.name !== DOT && entry.name !== DOT_DOT) {
          at++;
          continue;
        }
        const expected = entry.name === DOT ? directory.nid : (parent ?? entry.nid);
        if (entry.nid !== expected || entry.kind !== "directory") {
          throw corrupt(entry.offset, `"${entry.name}" is not what it should be`);
        }
        entries.splice(at, 1);
        dots++;
      }
      yield entries;
    }
    if (dots !== 2) throw corrupt(directory.offset, `a directory without "." and ".."`);
  }

  /**
   * The inode at a path, with or without a leading slash; symlinks are not followed. `undefined`
   * where there is none. Reads two blocks or three of each directory on the way, however large.
   */
  lookup(path: ByteString): ErofsInode | undefined {
    const way: ErofsInode[] = [this.root()];
    for (const name of path.split("/") as ByteString[]) {
      const here = way[way.length - 1]!;
      if (name.length === 0 || name === DOT) continue;
      if (!isDirectory(here)) return undefined;
      if (name === DOT_DOT) {
        if (way.length > 1) way.pop();
        continue;
      }
      const entry = this.#find(here, name);
      if (entry === undefined) return undefined;
      way.push(this.inode(entry.nid));
    }
    return way[way.length - 1];
  }

  /** The target of a symlink. */
  readlink(symlink: SymlinkInode): ByteString {
    if (symlink.size === 0 || symlink.size >= PATH_MAX) {
      throw corrupt(symlink.offset, `a symlink target of ${symlink.size} bytes`);
    }
    const target = byteStringFrom(this.#flatData(symlink));
    if (target.includes("\0")) throw corrupt(symlink.offset, "a symlink target with a NUL");
    return target;
  }

  /** The bytes of an inline file, in a buffer of their own; `undefined` if the data is elsewhere. */
  content(file: FileInode): Uint8Array | undefined {
    return file.layout === EROFS_INODE_CHUNK_BASED ? undefined : this.#flatData(file);
  }

  /** The xattrs as users of the mounted image see them; what speaks to overlayfs is left out. */
  xattrs(inode: ErofsInode): Xattrs {
    return this.#overlay.read(inode).xattrs;
  }

  /** The xattrs and what those for overlayfs mean. */
  overlay(inode: ErofsInode): OverlayView {
    return this.#overlay.read(inode);
  }

  /** All xattrs as they stand in the image, the inline ones first. */
  rawXattrs(inode: ErofsInode): RawXattr[] {
    const { reader, superBlock } = this;
    const names = new XattrNames();
    const found: ErofsXattr[] = [];
    for (let at = inlineXattrsOffset(reader, inode); at < inode.tailOffset;) {
      const xattr = decodeXattr(reader, at, inode.tailOffset, names);
      found.push(xattr);
      at = nextXattrOffset(xattr);
    }
    const inlineCount = found.length;
    for (const id of sharedXattrIds(reader, inode)) {
      found.push(decodeXattr(reader, sharedXattrOffset(superBlock, id), reader.size, names));
    }
    return found.map(({ name, valueOffset, valueSize }, index) => ({
      name,
      value: reader.copy(valueOffset, valueSize),
      shared: index >= inlineCount,
    }));
  }

  /**
   * Whether an inode is one of the character devices 0:0 by which V0 and V1 hide object directories.
   * Whiteouts that users made are stored in another form there; in V2 they are stored as they are.
   */
  isWhiteoutStub(inode: ErofsInode): boolean {
    return (
      inode.kind === "chardev" && inode.u === 0 && FORMAT_TRAITS[this.header.version].whiteoutStubs
    );
  }

  /** Runs `work`, which is going to read most of the image, on a copy in memory. */
  wholly<T>(work: () => T): T {
    return this.reader.withWhole(WHOLE_IMAGE_LIMIT, work);
  }

  #find(directory: DirectoryInode, name: ByteString): DirectoryEntry | undefined {
    const extents = flatExtents(this.reader, directory);
    // The last block whose first name is not behind the wanted one.
    let low = 0;
    let high = direntBlockCount(extents) - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (firstDirentName(this.reader, direntBlock(extents, middle)) <= name) low = middle;
      else high = middle - 1;
    }
    if (high < 0) return undefined;
    const block = direntBlock(extents, low);
    const entries = decodeDirents(this.reader, this.superBlock, block, EMPTY);
    return binarySearch(entries, name);
  }

  #flatData(inode: ErofsInode): Uint8Array {
    const { blocksOffset, blocksLength, tailOffset, tailLength } = flatExtents(this.reader, inode);
    if (blocksLength === 0) return this.reader.copy(tailOffset, tailLength);
    const data = new Uint8Array(inode.size);
    data.set(this.reader.view(blocksOffset, blocksLength));
    data.set(this.reader.view(tailOffset, tailLength), blocksLength);
    return data;
  }
}

/** Narrows an inode to a directory's. */
export function isDirectory(inode: ErofsInode): inode is DirectoryInode {
  return inode.kind === "directory";
}

/** Narrows an inode to a symlink's. */
export function isSymlink(inode: ErofsInode): inode is SymlinkInode {
  return inode.kind === "symlink";
}

/** Narrows an inode to a regular file's. */
export function isFile(inode: ErofsInode): inode is FileInode {
  return inode.kind === "file";
}

function binarySearch(
  entries: readonly DirectoryEntry[],
  name: ByteString,
): DirectoryEntry | undefined {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle]!;
    if (entry.name === name) return entry;
    if (entry.name < name) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

function corrupt(offset: number, reason: string): ImageError {
  return new ImageError("corrupt-image", offset, reason);
}
