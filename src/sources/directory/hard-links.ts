/**
 * Finds the names that share an inode: the first one in depth-first byte order becomes the leaf, the
 * others link to it.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Directory, Leaf } from "../../core/tree/node.ts";
import { walkTree } from "../../core/tree/walk.ts";
import type { Inode } from "./entry-record.ts";
import type { GrowingDirectory } from "./open-directory.ts";

/** A leaf whose inode has more names than one, some of them perhaps outside of the tree. */
export interface LinkedLeaf {
  readonly inode: Inode;
  /** Where it stands. */
  readonly directory: GrowingDirectory;
  readonly name: ByteString;
}

/** The leaves of one inode, the first one first. */
type Names = readonly [first: Leaf, ...places: LinkedLeaf[]];

/** Puts hard links into the tree, in place. Link counts are the numbers of names in the tree. */
export function linkNames(root: Directory, linked: ReadonlyMap<Leaf, LinkedLeaf>): void {
  for (const [first, ...places] of groupByInode(root, linked)) {
    if (places.length === 1) continue;
    const target: Leaf = { ...first, nlink: places.length };
    for (const [index, { directory, name }] of places.entries()) {
      directory.entries.set(name, index === 0 ? target : { kind: "hardlink", target });
    }
  }
}

function groupByInode(root: Directory, linked: ReadonlyMap<Leaf, LinkedLeaf>): Iterable<Names> {
  const inodes = new Map<string, [Leaf, ...LinkedLeaf[]]>();
  for (const { path, node } of walkTree(root)) {
    const place = linked.get(node as Leaf);
    if (place === undefined) continue;
    const leaf = node as Leaf;
    const key = `${place.inode.dev}:${place.inode.ino}`;
    const names = inodes.get(key);
    if (names === undefined) {
      inodes.set(key, [leaf, place]);
      continue;
    }
    // The two names were read at two moments.
    if (!isSameFile(names[0], leaf)) {
      throw new ComposefsError(
        "source-changed",
        `Cannot read "${displayText(path)}": it changed while the tree was read`,
      );
    }
    names.push(place);
  }
  return inodes.values();
}

function isSameFile(a: Leaf, b: Leaf): boolean {
  if (a.stat.mtime.sec !== b.stat.mtime.sec || a.stat.mtime.nsec !== b.stat.mtime.nsec)
    return false;
  if (a.kind !== "file" || b.kind !== "file") return a.kind === b.kind;
  if (a.content.kind !== "external" || b.content.kind !== "external") {
    return a.content.kind === b.content.kind;
  }
  return a.content.digest === b.content.digest;
}
