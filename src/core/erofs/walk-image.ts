/**
 * All entries of an image, one after the other: what the tree, the dump and the listings are made of.
 *
 * What the writer added is left out: `.` and `..`, whiteout stubs, overlay xattrs, escapes. What the
 * image alone knows stays: link counts and sizes of directories. The entries are those that C
 * libcomposefs loads, name by name and xattr by xattr, in the same order.
 *
 * Nothing is kept of an entry that was handed out, but for files with several names: the memory of a
 * walk does not grow with the image. Its time is bounded by the image's size, whatever the
 * image says: each inode is read once, each directory has one name, and the bytes of all inodes
 * together are not more than those of the image, since in a sound one they do not overlap.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { ImageError } from "../errors.ts";
import type { Directory, Leaf } from "../tree/node.ts";
import type { DirectoryEntry } from "./dirent.ts";
import { EROFS_SLOTSIZE, PATH_MAX } from "./format.ts";
import type { DirectoryInode, ErofsInode, Nid } from "./inode.ts";
import { NodeReader } from "./read-node.ts";
import type { ErofsImage } from "./reader.ts";
import { isDirectory } from "./reader.ts";

/** Options of {@link walkImage} and `readTree`. */
export interface WalkImageOptions {
  /** Names in the root that are read; the others are left out. All of them unless given. */
  readonly toplevel?: ReadonlySet<ByteString>;
}

/** One name in an image. */
export interface ImageEntry {
  /** Absolute path; `/` for the root. */
  readonly path: ByteString;
  /** Last component; empty for the root. */
  readonly name: ByteString;
  /** Directories above it: 0 for the root. */
  readonly depth: number;
  readonly nid: Nid;
  /** A directory is empty here: its entries come next. */
  readonly node: Directory | Leaf;
  /** Of a further name of a leaf, the path of its first one. */
  readonly linkOf: ByteString | undefined;
}

/** No path has more components than this: each takes a byte and a slash. */
const MAX_DEPTH = PATH_MAX / 2;

/** A directory whose entries are being read. */
interface OpenDirectory {
  readonly nid: Nid;
  /** Path with a slash at the end. */
  readonly prefix: string;
  readonly remaining: Iterator<DirectoryEntry>;
}

/** A leaf under its first name. */
interface FirstName {
  readonly path: ByteString;
  readonly node: Leaf;
}

/**
 * Yields the root, then every entry, depth first in byte order; a directory comes before what it
 * holds. To be run inside {@link ErofsImage.wholly}. Throws as the methods of `ErofsImage` do.
 */
export function walkImage(
  image: ErofsImage,
  options: WalkImageOptions = {},
): Generator<ImageEntry, void, undefined> {
  return new ImageWalk(image, options.toplevel).entries();
}

class ImageWalk {
  readonly #image: ErofsImage;
  readonly #toplevel: ReadonlySet<ByteString> | undefined;
  readonly #nodes: NodeReader;
  /** A bit for each place where an inode can start. */
  readonly #seen: Uint8Array;
  /** Leaves that may have further names, with their first one. */
  readonly #firsts = new Map<Nid, FirstName>();
  #keepsAll = false;
  readonly #open: OpenDirectory[] = [];

  constructor(image: ErofsImage, toplevel: ReadonlySet<ByteString> | undefined) {
    this.#image = image;
    this.#toplevel = toplevel;
    this.#nodes = new NodeReader(image);
    this.#seen = new Uint8Array(Math.ceil(image.size / EROFS_SLOTSIZE / 8));
  }

  /** Depth first: the first name of an inode on this way is the leaf, those after it are links. */
  *entries(): Generator<ImageEntry, void, undefined> {
    const root = this.#image.root();
    this.#mark(root);
    yield {
      path: "/" as ByteString,
      name: "" as ByteString,
      depth: 0,
      nid: root.nid,
      node: this.#enter(root, root.nid, "/"),
      linkOf: undefined,
    };
    while (this.#open.length > 0) {
      const directory = this.#open[this.#open.length - 1]!;
      const next = directory.remaining.next();
      if (next.done === true) {
        this.#open.pop();
        continue;
      }
      if (this.#open.length === 1 && this.#toplevel?.has(next.value.name) === false) continue;
      const entry = this.#entry(next.value, directory);
      if (entry !== undefined) yield entry;
    }
  }

  /** What a name leads to, or nothing for a whiteout stub. */
  #entry(entry: DirectoryEntry, directory: OpenDirectory): ImageEntry | undefined {
    const { name, nid } = entry;
    const depth = this.#open.length;
    const path = (directory.prefix + name) as ByteString;
    const inode = this.#image.inode(nid);
    if (inode.kind !== entry.kind) {
      throw corrupt(entry.offset, `a ${inode.kind} whose directory entry says ${entry.kind}`);
    }
    if (isDirectory(inode)) {
      if (this.#mark(inode)) throw corrupt(entry.offset, "a directory that has two names");
      const node = this.#enter(inode, directory.nid, `${path}/`);
      return { path, name, depth, nid, node, linkOf: undefined };
    }
    if (this.#image.isWhiteoutStub(inode)) {
      if (inode.nlink > 1) throw corrupt(inode.offset, "a whiteout stub with several links");
      return undefined;
    }
    if (this.#mark(inode)) {
      const first = this.#first(nid);
      return { path, name, depth, nid, node: first.node, linkOf: first.path };
    }
    const node = this.#nodes.leaf(inode);
    if (inode.nlink > 1 || this.#keepsAll) this.#firsts.set(nid, { path, node });
    return { path, name, depth, nid, node, linkOf: undefined };
  }

  /** Makes a directory and puts it on the stack, so that its entries come next. */
  #enter(inode: DirectoryInode, parent: Nid, prefix: string): Directory {
    if (this.#open.length >= MAX_DEPTH) {
      throw corrupt(inode.offset, `directories more than ${MAX_DEPTH} deep`);
    }
    const node = this.#nodes.directory(inode);
    const remaining = this.#image.entries(inode, parent);
    this.#open.push({ nid: inode.nid, prefix, remaining });
    return node;
  }

  /** Notes that an inode has a name. Returns whether it had one before. */
  #mark(inode: ErofsInode): boolean {
    const slot = inode.offset / EROFS_SLOTSIZE;
    const bit = 1 << (slot & 7);
    const before = this.#seen[slot >> 3]!;
    this.#seen[slot >> 3] = before | bit;
    return (before & bit) !== 0;
  }

  #first(nid: Nid): FirstName {
    const known = this.#firsts.get(nid);
    if (known !== undefined) return known;
    // Link counts are what the dump said, and may be too low. That is rare: then every leaf is kept.
    const walk = new ImageWalk(this.#image, this.#toplevel);
    walk.#keepsAll = true;
    for (const _ of walk.entries());
    for (const [each, first] of walk.#firsts) this.#firsts.set(each, first);
    return this.#firsts.get(nid)!;
  }
}

function corrupt(offset: number, reason: string): ImageError {
  return new ImageError("corrupt-image", offset, reason);
}
