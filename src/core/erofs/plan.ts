/**
 * What an image will hold: the inodes in their order, with the entries that only exist on disk (`.` and
 * `..`, escaped whiteouts, the 256 stubs) and the xattrs (`inode-xattrs.ts`).
 *
 * First third of the writer: tree -> plan. `layout.ts` then gives every inode its place, `writer.ts`
 * writes the bytes. Source: composefs libcomposefs/lcfs-writer-erofs.c 1.0.8 (V0, V1); composefs-rs
 * crates/composefs/src/erofs/writer.rs 0.9.0 (V2).
 */

import { byteString, compareByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { FILE_TYPE, isWhiteout, modeOf, sortedEntries } from "../tree/node.ts";
import type { Device, Directory, Leaf, Node, Stat, Timestamp } from "../tree/node.ts";
import type { ValidatedTree } from "../tree/validate.ts";
import { InodeXattrs } from "./inode-xattrs.ts";
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
  readonly #xattrs: InodeXattrs;
  readonly #inodes: PlannedInode[] = [];
  /** Inodes of the leaves that have several names. */
  readonly #linked = new Map<Leaf, PlannedInode>();
  /** Entries whose inode comes later. */
  readonly #deferred: { readonly dirent: PlannedDirent; readonly target: Leaf }[] = [];

  constructor(tree: ValidatedTree, traits: FormatTraits, pool: XattrPool) {
    this.#tree = tree;
    this.#traits = traits;
    this.#xattrs = new InodeXattrs(traits, pool);
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
      const own = sortedEntries(inode.node);
      const entries = inode === root && stub !== undefined ? withStubs(own, stub) : own;
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
    const open = (inode: PlannedInode, directory: Directory) => ({
      inode,
      entries: sortedEntries(directory)[Symbol.iterator](),
    });
    const stack = [open(root, this.#tree.root)];
    for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
      const next = top.entries.next();
      if (next.done === true) {
        sortDirents(top.inode.dirents!);
        stack.pop();
        continue;
      }
      const [name, node] = next.value;
      const dirent = this.#addEntry(name, node, top.inode);
      top.inode.dirents!.push(dirent);
      if (node.kind === "directory") stack.push(open(dirent.inode, node));
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
    const isRoot = parent === undefined;
    const xattrs = this.#xattrs.ofDirectory(directory.stat.xattrs, { isRoot, holdsWhiteout });
    const dirents: PlannedDirent[] = [];
    const inode = this.#add(directory, modeOf(directory), nlink, xattrs, dirents);
    dirents.push({ name: DOT, inode }, { name: DOT_DOT, inode: parent ?? inode });
    return inode;
  }

  #addLeaf(leaf: Leaf): PlannedInode {
    // V2 counts the names that there are; V0 and V1 believe the dump.
    const nlink = this.#traits.breadthFirst ? leaf.nlink : (this.#tree.linkCounts.get(leaf) ?? 1);
    if (this.#traits.escapesWhiteouts && isWhiteout(leaf)) {
      const xattrs = this.#xattrs.ofEscapedWhiteout(leaf.stat.xattrs);
      const file: Leaf = { kind: "file", stat: leaf.stat, nlink, content: EMPTY_FILE };
      return this.#add(file, FILE_TYPE.file | leaf.stat.mode, nlink, xattrs, undefined);
    }
    return this.#add(leaf, modeOf(leaf), nlink, this.#xattrs.ofLeaf(leaf), undefined);
  }

  #addStub(stub: Device): PlannedInode {
    return this.#add(
      stub,
      modeOf(stub),
      stub.nlink,
      this.#xattrs.escaped(stub.stat.xattrs),
      undefined,
    );
  }

  #add(
    node: Directory | Leaf,
    mode: number,
    nlink: number,
    xattrs: readonly PooledXattr[],
    dirents: PlannedDirent[] | undefined,
  ): PlannedInode {
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

/** The entries with the stub under each name that is free, in byte order. */
function withStubs(own: Iterable<[ByteString, Node]>, stub: Device): [ByteString, Node][] {
  const entries = [...own];
  const taken = new Set(entries.map(([name]) => name));
  for (let i = 0; i < 256; i++) {
    const name = byteString(i.toString(16).padStart(2, "0"));
    if (!taken.has(name)) entries.push([name, stub]);
  }
  return entries.sort((a, b) => compareByteStrings(a[0], b[0]));
}

/** `.` and `..` stand where byte order puts them, behind names like `+x`. */
function sortDirents(dirents: PlannedDirent[]): void {
  if (dirents.length > 2 && dirents[2]!.name > DOT_DOT) return;
  dirents.sort((a, b) => compareByteStrings(a.name, b.name));
}
