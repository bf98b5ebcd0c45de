/**
 * The tree between all formats: what a dump says, what a directory holds, what an image is made of.
 *
 * Plain data. A hard link is an entry of its own that points at the leaf it shares, because the
 * format needs to know which of the names is the first: the leaf's inode lies where that name is.
 * What an image will contain beside this (`.` and `..`, overlay xattrs, whiteout stubs) is the
 * writer's business and never in the tree.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";

/** A point in time: seconds since 1970 (may be negative) and nanoseconds (0 to 2^32 - 1 in the format). */
export interface Timestamp {
  readonly sec: bigint;
  readonly nsec: number;
}

/** Extended attributes by full name (`user.a`). Values are never changed in place. */
export type Xattrs = ReadonlyMap<ByteString, Uint8Array>;

/** What every inode has. */
export interface Stat {
  /** Permission, set-id and sticky bits only: 0 to 0o7777. The type is the node's `kind`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly xattrs: Xattrs;
}

/** Where the content of a regular file is. */
export type FileContent =
  /** In the image itself; an empty file is inline with no bytes. */
  | { readonly kind: "inline"; readonly data: Uint8Array }
  /**
   * In a backing file. `path` is the redirect without its leading slash, kept as it was found
   * (usually `XX/<rest>` of the digest, but any path is legal); `digest` what the kernel checks the
   * file against. One of the two may be missing, not both. `size` is above 0.
   */
  | {
      readonly kind: "external";
      readonly size: number;
      readonly path: ByteString | undefined;
      readonly digest: FsVerityDigest | undefined;
    }
  /** Only a size, above 0, and all zeros. */
  | { readonly kind: "sparse"; readonly size: number };

/** What every inode has that is not a directory. */
export interface LeafBase {
  readonly stat: Stat;
  /** Link count as it is written to the image (verbatim from a dump; 1 from a scan without hard links). */
  readonly nlink: number;
}

/** A regular file. */
export interface RegularFile extends LeafBase {
  readonly kind: "file";
  readonly content: FileContent;
}

/** A symbolic link. */
export interface Symlink extends LeafBase {
  readonly kind: "symlink";
  /** 1 to 4095 bytes, without NUL. */
  readonly target: ByteString;
}

/** A device node; a character device 0:0 is an overlayfs whiteout. */
export interface Device extends LeafBase {
  readonly kind: "chardev" | "blockdev";
  /** Device number in the kernel's 32-bit encoding ("huge" `dev_t` is refused). */
  readonly rdev: number;
  /** The size that a dump claims. It is never stored, but over 2^32 - 1 it makes the inode extended. */
  readonly claimedSize: number;
}

/** A named pipe or a socket. */
export interface Special extends LeafBase {
  readonly kind: "fifo" | "socket";
  /** As in {@link Device}. */
  readonly claimedSize: number;
}

/** An inode that is not a directory. Two entries of a tree never hold the same leaf: see {@link HardLink}. */
export type Leaf = RegularFile | Symlink | Device | Special;

/** A further name of a leaf that stands elsewhere in the same tree. */
export interface HardLink {
  readonly kind: "hardlink";
  readonly target: Leaf;
}

/** A directory. Iterate its entries with `sortedEntries`: the map's own order means nothing. */
export interface Directory {
  readonly kind: "directory";
  readonly stat: Stat;
  readonly entries: ReadonlyMap<ByteString, Node>;
  /**
   * What the image that this was read from recorded: bytes of directory data and the link count.
   * Only a dump shows them; the writer computes both afresh.
   */
  readonly recorded?: { readonly size: number; readonly nlink: number };
}

/** Whatever a directory entry can hold. */
export type Node = Directory | Leaf | HardLink;

/** The kinds of an inode. */
export type NodeKind = Exclude<Node["kind"], "hardlink">;

/** The file type bits of `st_mode`, here and below as include/uapi/linux/stat.h has them. */
export const S_IFMT = 0o170000;
/** The type bits of each kind. */
export const FILE_TYPE = {
  fifo: 0o010000,
  chardev: 0o020000,
  directory: 0o040000,
  blockdev: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const satisfies Record<NodeKind, number>;

const KIND_OF_TYPE = new Map<number, NodeKind>(
  (Object.keys(FILE_TYPE) as NodeKind[]).map((kind) => [FILE_TYPE[kind], kind]),
);

/** The kind that the type bits of an `st_mode` name, or nothing. */
export function kindOfMode(mode: number): NodeKind | undefined {
  return KIND_OF_TYPE.get(mode & S_IFMT);
}

/** The whole `st_mode` of a node. */
export function modeOf(node: Directory | Leaf): number {
  return FILE_TYPE[node.kind] | node.stat.mode;
}

/** An overlayfs whiteout: a character device 0:0. */
export function isWhiteout(node: Node): boolean {
  return node.kind === "chardev" && node.rdev === 0;
}

/** The leaf behind a name, be it the first or a further one. */
export function resolveLink(node: Node): Directory | Leaf {
  return node.kind === "hardlink" ? node.target : node;
}

/**
 * The entries of a directory in byte order of their names. What a dump, an image or a scan gave is in
 * that order already, and then nothing is copied.
 */
export function sortedEntries(directory: Directory): Iterable<[ByteString, Node]> {
  const { entries } = directory;
  let previous = "" as ByteString;
  for (const name of entries.keys()) {
    if (name < previous) return [...entries].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    previous = name;
  }
  return entries;
}
