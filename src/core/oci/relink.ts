/**
 * A tree whose names share leaves to a tree with hard links: a file stands where its first name is,
 * depth first in byte order, and every further name is a link to it.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { resolveLink, sortedEntries } from "../tree/node.ts";
import type { Directory, Leaf, Node, Stat } from "../tree/node.ts";

interface OpenDirectory extends Directory {
  readonly entries: Map<ByteString, Node>;
}

/**
 * Returns a new tree of the same files; `mapStat` may change what each inode has. Names of one file may
 * hold the same leaf, or hard links to it; a hard link whose leaf is nowhere else becomes the leaf. The
 * link count of a leaf is the number of its names.
 */
export function relinkTree(
  root: Directory,
  mapStat: (stat: Stat) => Stat = (stat) => stat,
): Directory {
  const counts = countNames(root);
  const placed = new Map<Leaf, Leaf>();
  const newRoot = openDirectory(mapStat(root.stat));
  const stack = [{ entries: sortedEntries(root)[Symbol.iterator](), target: newRoot }];
  for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
    const next = top.entries.next();
    if (next.done === true) {
      stack.pop();
      continue;
    }
    const [name, node] = next.value;
    if (node.kind === "directory") {
      const target = openDirectory(mapStat(node.stat));
      top.target.entries.set(name, target);
      stack.push({ entries: sortedEntries(node)[Symbol.iterator](), target });
      continue;
    }
    const leaf = resolveLink(node) as Leaf;
    const known = placed.get(leaf);
    if (known === undefined) {
      const copy: Leaf = { ...leaf, stat: mapStat(leaf.stat), nlink: counts.get(leaf)! };
      placed.set(leaf, copy);
      top.target.entries.set(name, copy);
    } else {
      top.target.entries.set(name, { kind: "hardlink", target: known });
    }
  }
  return newRoot;
}

function openDirectory(stat: Stat): OpenDirectory {
  return { kind: "directory", stat, entries: new Map() };
}

function countNames(root: Directory): Map<Leaf, number> {
  const counts = new Map<Leaf, number>();
  const directories = [root];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const node of directory.entries.values()) {
      if (node.kind === "directory") {
        directories.push(node);
      } else {
        const leaf = resolveLink(node) as Leaf;
        counts.set(leaf, (counts.get(leaf) ?? 0) + 1);
      }
    }
  }
  return counts;
}
