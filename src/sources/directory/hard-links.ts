/**
 * Finds the names that share an inode: the first one in depth-first byte order becomes the leaf, the
 * others link to it.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { sortedEntries } from "../../core/tree/node.ts";
import type { Directory, Leaf, Node } from "../../core/tree/node.ts";
import type { Inode } from "./entry-record.ts";
import type { GrowingDirectory } from "./open-directory.ts";

/** The leaves whose inode has more names than one, some of them perhaps outside of the tree. */
export type LinkedLeaves = ReadonlyMap<Leaf, Inode>;

/** One inode and where its names stand. */
interface Names {
  readonly first: Leaf;
  readonly places: { readonly directory: GrowingDirectory; readonly name: ByteString }[];
}

/** Puts hard links into the tree, in place. Link counts are the numbers of names in the tree. */
export function linkNames(root: GrowingDirectory, linked: LinkedLeaves): void {
  const inodes = new Map<string, Names>();
  collect(root, linked, inodes, "" as ByteString);
  for (const { first, places } of inodes.values()) {
    if (places.length === 1) continue;
    const target: Leaf = { ...first, nlink: places.length };
    for (const [index, { directory, name }] of places.entries()) {
      directory.entries.set(name, index === 0 ? target : { kind: "hardlink", target });
    }
  }
}

function collect(
  directory: Directory,
  linked: LinkedLeaves,
  inodes: Map<string, Names>,
  path: ByteString,
): void {
  for (const [name, node] of sortedEntries(directory)) {
    const here = `${path}/${name}` as ByteString;
    if (node.kind === "directory") {
      collect(node, linked, inodes, here);
      continue;
    }
    const inode = inodeOf(node, linked);
    if (inode === undefined) continue;
    const place = { directory: directory as GrowingDirectory, name };
    const known = inodes.get(inode);
    if (known === undefined) {
      inodes.set(inode, { first: node as Leaf, places: [place] });
    } else if (isSameContent(known.first, node as Leaf)) {
      known.places.push(place);
    } else {
      throw new ComposefsError(
        "source-changed",
        `Cannot read "${displayText(here)}": it changed while the tree was read`,
      );
    }
  }
}

function inodeOf(node: Node, linked: LinkedLeaves): string | undefined {
  const inode = linked.get(node as Leaf);
  return inode === undefined ? undefined : `${inode.dev}:${inode.ino}`;
}

/** Whether two names of an inode were read in the same state. */
function isSameContent(a: Leaf, b: Leaf): boolean {
  if (a.stat.mtime.sec !== b.stat.mtime.sec || a.stat.mtime.nsec !== b.stat.mtime.nsec)
    return false;
  if (a.kind !== "file" || b.kind !== "file") return a.kind === b.kind;
  if (a.content.kind !== "external" || b.content.kind !== "external") {
    return a.content.kind === b.content.kind;
  }
  return a.content.digest === b.content.digest;
}
