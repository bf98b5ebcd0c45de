/**
 * Walking a tree: depth first, each directory's entries in byte order, without recursion.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { sortedEntries } from "./node.ts";
import type { Directory, Leaf, Node } from "./node.ts";

/** One stop of a walk. */
export interface WalkEntry {
  /** Absolute path; `/` for the root. */
  readonly path: ByteString;
  /** Last component; empty for the root. */
  readonly name: ByteString;
  readonly node: Node;
}

/** Visits the root, then every entry; a directory comes before what it holds. */
export function* walkTree(root: Directory): Generator<WalkEntry> {
  yield { path: "/" as ByteString, name: "" as ByteString, node: root };
  const stack = [{ prefix: "/", entries: sortedEntries(root)[Symbol.iterator]() }];
  for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
    const next = top.entries.next();
    if (next.done === true) {
      stack.pop();
      continue;
    }
    const [name, node] = next.value;
    const path = (top.prefix + name) as ByteString;
    yield { path, name, node };
    if (node.kind === "directory") {
      stack.push({ prefix: `${path}/`, entries: sortedEntries(node)[Symbol.iterator]() });
    }
  }
}

/**
 * Returns the path of each leaf that has further names; an empty map for a tree without hard links.
 */
export function linkTargetPaths(root: Directory): Map<Leaf, ByteString> {
  const targets = new Set<Leaf>();
  for (const { node } of walkTree(root)) if (node.kind === "hardlink") targets.add(node.target);
  const paths = new Map<Leaf, ByteString>();
  if (targets.size === 0) return paths;
  for (const { path, node } of walkTree(root)) {
    if (node.kind !== "hardlink" && node.kind !== "directory" && targets.has(node)) {
      paths.set(node, path);
    }
  }
  return paths;
}
