/**
 * What an image will hold: the inodes in their order, with the xattrs and entries that only exist on
 * disk (`.` and `..`, overlay xattrs, escaped whiteouts, the 256 stubs).
 *
 * First third of the writer: tree -> plan. `layout.ts` then gives every inode its place, `writer.ts`
 * writes the bytes. Source: composefs libcomposefs/lcfs-writer-erofs.c 1.0.8 (V0, V1); composefs-rs
 * crates/composefs/src/erofs/writer.rs 0.9.0 (V2).
 */

import { byteString, byteStringFrom, compareByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";
import { encodeMetacopy } from "../overlay/metacopy.ts";
import {
  OVERLAY_XATTR_ESCAPED_OPAQUE,
  OVERLAY_XATTR_ESCAPED_WHITEOUT,
  OVERLAY_XATTR_ESCAPED_WHITEOUTS,
  OVERLAY_XATTR_METACOPY,
  OVERLAY_XATTR_OPAQUE,
  OVERLAY_XATTR_REDIRECT,
  OVERLAY_XATTR_USERXATTR_OPAQUE,
  OVERLAY_XATTR_USERXATTR_WHITEOUT,
  OVERLAY_XATTR_USERXATTR_WHITEOUTS,
  escapeOverlayName,
} from "../overlay/names.ts";
import { FILE_TYPE, isWhiteout, modeOf, sortedEntries } from "../tree/node.ts";
import type { Device, Directory, Leaf, Node, Stat, Timestamp, Xattrs } from "../tree/node.ts";
import type { ValidatedTree } from "../tree/validate.ts";
import { FORMAT_TRAITS } from "./version.ts";
import type { FormatTraits, FormatVersion } from "./version.ts";
import { XattrPool, sharedXattrs } from "./xattr-pool.ts";
import type { PooledXattr } from "./xattr-pool.ts";

/** One directory entry of the image. */
export interface PlannedDirent {
  readonly name: ByteString;
  /** Filled in at the end for a hard link that comes before its target. */
  inode: PlannedInode;
}

/** One inode of the image. The second group of fields is filled in by the layout. */
export interface PlannedInode {
  readonly node: Directory | Leaf;
  /** Type and permissions as stored: an escaped whiteout is a regular file. */
  readonly mode: number;
  readonly nlink: number;
  /** In the order in which the inode lists them. */
  readonly xattrs: readonly PooledXattr[];
  /** Entries of a directory, `.` and `..` among them, in byte order; `undefined` for other inodes. */
  readonly dirents: PlannedDirent[] | undefined;

  /** Byte offset in the image. */
  offset: number;
  isCompact: boolean;
  /** How many of `xattrs` refer to the shared table. */
  sharedCount: number;
  /** Bytes of xattrs, header included; 0 for none. */
  xattrSize: number;
  /** Bytes right behind the xattrs: the tail of a directory or file, a symlink, chunk indexes. */
  tailSize: number;
  /** Whole blocks elsewhere in the image, and the number of the first one. */
  blocks: number;
  blockAddress: number;
}

/** All of an image but the places. */
export interface ImagePlan {
  readonly version: FormatVersion;
  readonly traits: FormatTraits;
  /** In the order of their place in the image; the first is the root. */
  readonly inodes: readonly PlannedInode[];
  /** The shared table, in its order. */
  readonly shared: readonly PooledXattr[];
  /** Whether any inode has a POSIX ACL; always false in V2, which does not say. */
  readonly hasAcl: boolean;
  /** `build_time`: the earliest time of all inodes; 0 in V2. */
  readonly buildTime: Timestamp;
}

const DOT = byteString(".");
const DOT_DOT = byteString("..");
const SECURITY_SELINUX = byteString("security.selinux");
const POSIX_ACL_ACCESS = byteString("system.posix_acl_access");
const POSIX_ACL_DEFAULT = byteString("system.posix_acl_default");
const NONE = byteString("");
const X = byteString("x");
const Y = byteString("y");

/** Plans an image of `tree` in the layout of `version`. */
export function planImage(tree: ValidatedTree, version: FormatVersion): ImagePlan {
  const traits = FORMAT_TRAITS[version];
  const pool = new XattrPool(traits);
  const inodes = new InodeCollector(tree, traits, pool).collect();
  for (const inode of inodes) for (const xattr of inode.xattrs) xattr.uses++;
  return {
    version,
    traits,
    inodes,
    shared: sharedXattrs(pool, traits),
    hasAcl: version !== 2 && pool.hasName(POSIX_ACL_ACCESS, POSIX_ACL_DEFAULT),
    buildTime: version === 2 ? { sec: 0n, nsec: 0 } : earliest(inodes),
  };
}

function earliest(inodes: readonly PlannedInode[]): Timestamp {
  let first = inodes[0]!.node.stat.mtime;
  for (const { node } of inodes) {
    const { mtime } = node.stat;
    if (mtime === first) continue;
    if (mtime.sec < first.sec || (mtime.sec === first.sec && mtime.nsec < first.nsec))
      first = mtime;
  }
  return first;
}

/** Turns nodes into inodes, in the order of the version. */
class InodeCollector {
  readonly #tree: ValidatedTree;
  readonly #traits: FormatTraits;
  readonly #pool: XattrPool;
  readonly #inodes: PlannedInode[] = [];
  /** Inodes of the leaves that have several names. */
  readonly #linked = new Map<Leaf, PlannedInode>();
  /** Entries whose inode comes later. */
  readonly #deferred: { readonly dirent: PlannedDirent; readonly target: Leaf }[] = [];

  constructor(tree: ValidatedTree, traits: FormatTraits, pool: XattrPool) {
    this.#tree = tree;
    this.#traits = traits;
    this.#pool = pool;
  }

  collect(): PlannedInode[] {
    const root = this.#addDirectory(this.#tree.root, undefined);
    if (this.#traits.breadthFirst) this.#collectBreadthFirst(root);
    else this.#collectDepthFirst(root);
    for (const { dirent, target } of this.#deferred) dirent.inode = this.#linked.get(target)!;
    return this.#inodes;
  }

  /** All entries of a directory get their inodes side by side, then those of its directories. */
  #collectBreadthFirst(root: PlannedInode): void {
    const stub = this.#traits.whiteoutStubs ? whiteoutStub(this.#tree.root) : undefined;
    // `#inodes` is the queue as well: what is added at its end is visited later.
    for (let at = 0; at < this.#inodes.length; at++) {
      const inode = this.#inodes[at]!;
      if (inode.node.kind !== "directory") continue;
      const entries = sortedEntries(inode.node);
      if (inode === root && stub !== undefined) insertStubs(entries, stub);
      for (const [name, node] of entries) {
        inode.dirents!.push(
          node === stub ? { name, inode: this.#addStub(stub) } : this.#addEntry(name, node, inode),
        );
      }
      sortDirents(inode.dirents!);
    }
  }

  /** An inode, then everything below it. */
  #collectDepthFirst(root: PlannedInode): void {
    const stack = [{ inode: root, entries: sortedEntries(this.#tree.root), next: 0 }];
    for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
      const entry = top.entries[top.next++];
      if (entry === undefined) {
        sortDirents(top.inode.dirents!);
        stack.pop();
        continue;
      }
      const dirent = this.#addEntry(entry[0], entry[1], top.inode);
      top.inode.dirents!.push(dirent);
      if (entry[1].kind === "directory") {
        stack.push({ inode: dirent.inode, entries: sortedEntries(entry[1]), next: 0 });
      }
    }
  }

  #addEntry(name: ByteString, node: Node, parent: PlannedInode): PlannedDirent {
    if (node.kind === "directory") return { name, inode: this.#addDirectory(node, parent) };
    const leaf = node.kind === "hardlink" ? node.target : node;
    if (!this.#tree.linkCounts.has(leaf)) return { name, inode: this.#addLeaf(leaf) };
    const known = this.#linked.get(leaf);
    if (known !== undefined) return { name, inode: known };
    // Breadth first the inode lies where the leaf itself stands, depth first where its first name is.
    if (node.kind === "hardlink" && this.#traits.breadthFirst) {
      const dirent = { name, inode: undefined as unknown as PlannedInode };
      this.#deferred.push({ dirent, target: leaf });
      return dirent;
    }
    const inode = this.#addLeaf(leaf);
    this.#linked.set(leaf, inode);
    return { name, inode };
  }

  #addDirectory(directory: Directory, parent: PlannedInode | undefined): PlannedInode {
    let nlink = 2;
    let holdsWhiteout = false;
    for (const node of directory.entries.values()) {
      if (node.kind === "directory") nlink++;
      else if (isWhiteout(node)) holdsWhiteout = true;
    }
    const xattrs = this.#escaped(directory.stat.xattrs);
    if (holdsWhiteout && this.#traits.escapesWhiteouts) {
      this.#set(xattrs, OVERLAY_XATTR_ESCAPED_WHITEOUTS, NONE);
      this.#set(xattrs, OVERLAY_XATTR_USERXATTR_WHITEOUTS, NONE);
      if (this.#traits.marksWhiteoutDirectories) {
        this.#set(xattrs, OVERLAY_XATTR_ESCAPED_OPAQUE, X);
        this.#set(xattrs, OVERLAY_XATTR_USERXATTR_OPAQUE, X);
      }
    }
    if (parent === undefined && this.#traits.whiteoutStubs)
      this.#set(xattrs, OVERLAY_XATTR_OPAQUE, Y);
    const dirents: PlannedDirent[] = [];
    const inode = this.#add(directory, modeOf(directory), nlink, xattrs, dirents);
    dirents.push({ name: DOT, inode }, { name: DOT_DOT, inode: parent ?? inode });
    return inode;
  }

  #addLeaf(leaf: Leaf): PlannedInode {
    // V2 counts the names that there are; V0 and V1 believe the dump.
    const nlink = this.#traits.breadthFirst ? leaf.nlink : (this.#tree.linkCounts.get(leaf) ?? 1);
    if (this.#traits.escapesWhiteouts && isWhiteout(leaf)) {
      const xattrs = this.#escaped(leaf.stat.xattrs);
      this.#set(xattrs, OVERLAY_XATTR_ESCAPED_WHITEOUT, NONE);
      this.#set(xattrs, OVERLAY_XATTR_USERXATTR_WHITEOUT, NONE);
      const file: Leaf = { kind: "file", stat: leaf.stat, nlink, content: EMPTY_FILE };
      return this.#add(file, FILE_TYPE.file | leaf.stat.mode, nlink, xattrs, undefined);
    }
    return this.#add(leaf, modeOf(leaf), nlink, this.#leafXattrs(leaf), undefined);
  }

  #addStub(stub: Device): PlannedInode {
    return this.#add(stub, modeOf(stub), stub.nlink, this.#escaped(stub.stat.xattrs), undefined);
  }

  #add(
    node: Directory | Leaf,
    mode: number,
    nlink: number,
    xattrs: PooledXattr[],
    dirents: PlannedDirent[] | undefined,
  ): PlannedInode {
    // C order: by full name. V2 keeps the order in which they came.
    if (this.#traits.breadthFirst && xattrs.length > 1) {
      xattrs.sort((a, b) => compareByteStrings(a.name.full, b.name.full));
    }
    const inode: PlannedInode = {
      node,
      mode,
      nlink,
      xattrs,
      dirents,
      offset: 0,
      isCompact: false,
      sharedCount: 0,
      xattrSize: 0,
      tailSize: 0,
      blocks: 0,
      blockAddress: 0,
    };
    this.#inodes.push(inode);
    return inode;
  }

  /** Metacopy and redirect come first, then the leaf's own. */
  #leafXattrs(leaf: Leaf): PooledXattr[] {
    const own = this.#escaped(leaf.stat.xattrs);
    if (leaf.kind !== "file" || leaf.content.kind === "inline") return own;
    const { content } = leaf;
    const digest = content.kind === "external" ? content.digest : undefined;
    const xattrs = [
      digest === undefined
        ? this.#pool.intern(OVERLAY_XATTR_METACOPY, NONE)
        : this.#pool.internMade(OVERLAY_XATTR_METACOPY, digest, metacopyValue),
    ];
    if (content.kind === "external" && content.path !== undefined) {
      xattrs.push(this.#pool.internMade(OVERLAY_XATTR_REDIRECT, content.path, redirectValue));
    }
    xattrs.push(...own);
    return xattrs;
  }

  #escaped(xattrs: Xattrs): PooledXattr[] {
    if (xattrs.size === 0) return [];
    const names = [...xattrs.keys()];
    if (names.length > 1) names.sort(compareByteStrings);
    return names.map((name) =>
      this.#pool.intern(escapeOverlayName(name), byteStringFrom(xattrs.get(name)!)),
    );
  }

  /** Sets an xattr, over one of the same name. */
  #set(xattrs: PooledXattr[], name: ByteString, value: ByteString): void {
    const xattr = this.#pool.intern(name, value);
    const at = xattrs.findIndex((other) => other.name === xattr.name);
    if (at < 0) xattrs.push(xattr);
    else xattrs[at] = xattr;
  }
}

function metacopyValue(digest: FsVerityDigest): ByteString {
  return byteStringFrom(encodeMetacopy(digest));
}

function redirectValue(path: ByteString): ByteString {
  return `/${path}` as ByteString;
}

const EMPTY_FILE = { kind: "inline", data: new Uint8Array(0) } as const;

/**
 * A whiteout as it stands in the root for each name `00` to `ff` that is not taken, so that the
 * object directories of a basedir never show: owner, time and SELinux label are the root's.
 */
function whiteoutStub(root: Directory): Device {
  const { uid, gid, mtime, xattrs } = root.stat;
  const label = xattrs.get(SECURITY_SELINUX);
  const stat: Stat = {
    mode: 0o644,
    uid,
    gid,
    mtime,
    xattrs: label === undefined ? new Map() : new Map([[SECURITY_SELINUX, label]]),
  };
  return { kind: "chardev", stat, nlink: 1, rdev: 0, claimedSize: 0 };
}

/** Adds the stub under each name that is free, and keeps byte order. */
function insertStubs(entries: [ByteString, Node][], stub: Device): void {
  const taken = new Set(entries.map(([name]) => name));
  for (let i = 0; i < 256; i++) {
    const name = byteString(i.toString(16).padStart(2, "0"));
    if (!taken.has(name)) entries.push([name, stub]);
  }
  entries.sort((a, b) => compareByteStrings(a[0], b[0]));
}

/** `.` and `..` stand where byte order puts them, behind names like `+x`. */
function sortDirents(dirents: PlannedDirent[]): void {
  if (dirents.length > 2 && dirents[2]!.name > DOT_DOT) return;
  dirents.sort((a, b) => compareByteStrings(a.name, b.name));
}
