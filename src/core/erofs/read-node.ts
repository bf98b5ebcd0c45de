/**
 * From an inode to a node of a tree: its stat, its content, what overlayfs is told about it.
 *
 * Checks what one inode alone does not show: that the inodes together do not claim more bytes than
 * the image has, and that what it says of a file's data does not contradict itself.
 */

import { ImageError } from "../errors.ts";
import type { Directory, FileContent, Leaf, Stat, Timestamp, Xattrs } from "../tree/node.ts";
import { CHUNK_ADDRESS_SIZE, checkHoles, chunkTable } from "./chunk.ts";
import { EROFS_INODE_CHUNK_BASED, LCFS_INLINE_CONTENT_MAX } from "./format.ts";
import type { DirectoryInode, ErofsInode, FileInode } from "./inode.ts";
import type { OverlayView } from "./overlay-xattrs.ts";
import type { ErofsImage } from "./reader.ts";
import { isFile, isSymlink } from "./reader.ts";

/** Makes nodes of the inodes of one image. A node owns its bytes. */
export class NodeReader {
  readonly #image: ErofsImage;
  #claimedBytes = 0;
  #lastTime: Timestamp = { sec: 0n, nsec: 0 };

  constructor(image: ErofsImage) {
    this.#image = image;
  }

  /** A directory, without its entries. */
  directory(inode: DirectoryInode): Directory {
    this.#claim(inode, inode.tailOffset - inode.offset + inode.size);
    return {
      kind: "directory",
      stat: this.#stat(inode, this.#image.overlay(inode).xattrs),
      entries: new Map(),
      recorded: { size: inode.size, nlink: inode.nlink },
    };
  }

  /** Any other node. Each inode is read once: what it claims is nobody else's. */
  leaf(inode: ErofsInode): Leaf {
    this.#claim(inode, inode.tailOffset - inode.offset);
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
    // An empty file has nothing to look for elsewhere, whatever its xattrs say.
    if (size === 0) return { kind: "inline", data: new Uint8Array(0) };
    if (path === undefined && digest === undefined) return { kind: "sparse", size };
    return { kind: "external", size, path, digest };
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
