/**
 * An image turned back into the tree that it was made of.
 *
 * What the writer added goes: `.` and `..`, whiteout stubs, overlay xattrs, escapes. What the image
 * alone knows stays: link counts and sizes of directories. The result is what C libcomposefs loads,
 * name by name and xattr by xattr, in the same order.
 *
 * Cost is bounded by the image's size, whatever it says: each inode is read once, each directory has
 * one name, and the bytes of all inodes together are not more than those of the image, since in a
 * sound one they do not overlap.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { ImageError } from "../errors.ts";
import type { Directory, FileContent, Leaf, Node, Stat, Timestamp, Xattrs } from "../tree/node.ts";
import { CHUNK_ADDRESS_SIZE, checkHoles, chunkTable } from "./chunk.ts";
import type { DirectoryEntry } from "./dirent.ts";
import { EROFS_INODE_CHUNK_BASED, LCFS_INLINE_CONTENT_MAX, PATH_MAX } from "./format.ts";
import type { DirectoryInode, ErofsInode, FileInode, Nid } from "./inode.ts";
import type { OverlayView } from "./overlay-xattrs.ts";
import type { ErofsImage } from "./reader.ts";
import { isDirectory, isFile, isSymlink } from "./reader.ts";

/** Options of {@link readTree}. */
export interface ReadTreeOptions {
  /** Names in the root that are read; the others are left out. All of them unless given. */
  readonly toplevel?: ReadonlySet<ByteString>;
}

/** No path has more components than this: each takes a byte and a slash. */
const MAX_DEPTH = PATH_MAX / 2;

/** A directory whose entries are being read. */
interface OpenDirectory {
  readonly nid: Nid;
  readonly remaining: Iterator<DirectoryEntry>;
  readonly children: Map<ByteString, Node>;
}

/** Reads the whole tree, which then owns all of its bytes. Throws as {@link ErofsImage} does. */
export function readTree(image: ErofsImage, options: ReadTreeOptions = {}): Directory {
  return image.wholly(() => new TreeReader(image, options.toplevel).read());
}

class TreeReader {
  readonly #image: ErofsImage;
  readonly #toplevel: ReadonlySet<ByteString> | undefined;
  /** What each node number has become. */
  readonly #seen = new Map<Nid, Directory | Leaf>();
  readonly #open: OpenDirectory[] = [];
  #claimedBytes = 0;
  #lastTime: Timestamp = { sec: 0n, nsec: 0 };

  constructor(image: ErofsImage, toplevel: ReadonlySet<ByteString> | undefined) {
    this.#image = image;
    this.#toplevel = toplevel;
  }

  /** Depth first: the first name of an inode on this way is the leaf, those after it are links. */
  read(): Directory {
    const inode = this.#image.root();
    const root = this.#enter(inode, inode.nid);
    while (this.#open.length > 0) {
      const directory = this.#open[this.#open.length - 1]!;
      const next = directory.remaining.next();
      if (next.done === true) {
        this.#open.pop();
        continue;
      }
      const entry = next.value;
      if (this.#open.length === 1 && this.#toplevel?.has(entry.name) === false) continue;
      const node = this.#node(entry, directory.nid);
      if (node !== undefined) directory.children.set(entry.name, node);
    }
    return root;
  }

  /** The node for an entry, or nothing for a whiteout stub. */
  #node(entry: DirectoryEntry, parent: Nid): Node | undefined {
    const seen = this.#seen.get(entry.nid);
    if (seen !== undefined) {
      if (seen.kind !== "directory") return { kind: "hardlink", target: seen };
      throw corrupt(entry.offset, "a directory that has two names");
    }
    const inode = this.#image.inode(entry.nid);
    if (inode.kind !== entry.kind) {
      throw corrupt(entry.offset, `a ${inode.kind} whose directory entry says ${entry.kind}`);
    }
    if (isDirectory(inode)) return this.#enter(inode, parent);
    if (this.#image.isWhiteoutStub(inode)) {
      if (inode.nlink > 1) throw corrupt(inode.offset, "a whiteout stub with several links");
      return undefined;
    }
    this.#claim(inode, inode.tailOffset - inode.offset);
    const leaf = this.#leaf(inode);
    this.#seen.set(inode.nid, leaf);
    return leaf;
  }

  /** Makes a directory and puts it on the stack, to be filled. */
  #enter(inode: DirectoryInode, parent: Nid): Directory {
    if (this.#open.length >= MAX_DEPTH) {
      throw corrupt(inode.offset, `directories more than ${MAX_DEPTH} deep`);
    }
    this.#claim(inode, inode.tailOffset - inode.offset + inode.size);
    const children = new Map<ByteString, Node>();
    const directory: Directory = {
      kind: "directory",
      stat: this.#stat(inode, this.#image.overlay(inode).xattrs),
      entries: children,
      recorded: { size: inode.size, nlink: inode.nlink },
    };
    this.#seen.set(inode.nid, directory);
    const remaining = this.#image.entries(inode, parent);
    this.#open.push({ nid: inode.nid, remaining, children });
    return directory;
  }

  #leaf(inode: ErofsInode): Leaf {
    const overlay = this.#image.overlay(inode);
    const stat = this.#stat(inode, overlay.xattrs);
    const { nlink, kind } = inode;
    if (overlay.isEscapedWhiteout) return { kind: "chardev", stat, nlink, rdev: 0, claimedSize: 0 };
    if (isFile(inode)) return { kind: "file", stat, nlink, content: this.#content(inode, overlay) };
    if (isSymlink(inode)) {
      this.#claim(inode, inode.size);
      return { kind: "symlink", stat, nlink, target: this.#image.readlink(inode) };
    }
    switch (kind) {
      case "chardev":
      case "blockdev":
        return { kind, stat, nlink, rdev: inode.u, claimedSize: inode.size };
      case "fifo":
      case "socket":
        return { kind, stat, nlink, claimedSize: inode.size };
      default:
        throw corrupt(inode.offset, `a ${kind} in the place of a leaf`);
    }
  }

  #content(inode: FileInode, overlay: OverlayView): FileContent {
    const { size } = inode;
    const path = overlay.redirect;
    const digest = overlay.metacopy === "none" ? undefined : overlay.metacopy;
    const isFlat = inode.layout !== EROFS_INODE_CHUNK_BASED;
    if (isFlat && size > 0) {
      if (overlay.metacopy !== undefined || path !== undefined) {
        throw corrupt(inode.offset, "a file with data both in the image and elsewhere");
      }
      if (size > LCFS_INLINE_CONTENT_MAX) {
        throw new ImageError(
          "unsupported-image",
          inode.offset,
          `composefs has no inline file of ${size} bytes (inode at offset ${inode.offset})`,
        );
      }
      this.#claim(inode, size);
      return { kind: "inline", data: this.#image.content(inode)! };
    }
    if (!isFlat) this.#checkChunks(inode);
    if (path !== undefined || digest !== undefined) return { kind: "external", size, path, digest };
    return size > 0 ? { kind: "sparse", size } : { kind: "inline", data: new Uint8Array(0) };
  }

  #checkChunks(inode: FileInode): void {
    const table = chunkTable(inode);
    // V2 writes no table for some files; what stands in its place is the next inode.
    if (this.#image.header.version === 2 || !table.isInline) return;
    this.#claim(inode, table.count * CHUNK_ADDRESS_SIZE);
    checkHoles(this.#image.reader, inode, table);
  }

  #stat(inode: ErofsInode, xattrs: Xattrs): Stat {
    const { mode, uid, gid } = inode;
    return { mode, uid, gid, mtime: this.#time(inode.mtime), xattrs };
  }

  /** Neighbours often have the same time; a tree of a million entries is smaller if they share it. */
  #time(time: Timestamp): Timestamp {
    const last = this.#lastTime;
    if (time.sec === last.sec && time.nsec === last.nsec) return last;
    this.#lastTime = time;
    return time;
  }

  /** Counts bytes that belong to this inode alone. */
  #claim(inode: ErofsInode, bytes: number): void {
    this.#claimedBytes += bytes;
    if (this.#claimedBytes > this.#image.size) {
      throw corrupt(inode.offset, "inodes claim more bytes than the image has");
    }
  }
}

function corrupt(offset: number, reason: string): ImageError {
  return new ImageError("corrupt-image", offset, reason);
}
