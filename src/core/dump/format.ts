/**
 * A tree to a dump, line for line as `composefs-info dump` prints it: depth first, in byte order.
 */

import { byteStringFrom } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { modeOf, resolveLink, sortedEntries } from "../tree/node.ts";
import type { Directory, Leaf, Node, Stat } from "../tree/node.ts";
import { linkTargetPaths } from "../tree/walk.ts";
import { escapeBytes } from "./escape.ts";

/** Characters of text that are collected before they are handed out. */
const PIECE = 1 << 16;

/**
 * Yields the dump in pieces of ASCII text that end at line ends.
 *
 * A directory shows the size and link count that its image recorded, else 0 and the true count. A
 * hard link shows `@` before the mode, the path of its first name as payload, and the rest of what
 * its first name shows.
 */
export function* formatDump(root: Directory): Generator<string> {
  const targets = linkTargetPaths(root);
  let piece = formatLine("/", root, targets);
  const stack = [{ prefix: "/", entries: sortedEntries(root)[Symbol.iterator]() }];
  for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
    const next = top.entries.next();
    if (next.done === true) {
      stack.pop();
      continue;
    }
    const [name, node] = next.value;
    const path = top.prefix + escapeBytes(name);
    piece += formatLine(path, node, targets);
    if (piece.length >= PIECE) {
      yield piece;
      piece = "";
    }
    if (node.kind === "directory") {
      stack.push({ prefix: `${path}/`, entries: sortedEntries(node)[Symbol.iterator]() });
    }
  }
  yield piece;
}

function formatLine(path: string, entry: Node, targets: ReadonlyMap<Leaf, ByteString>): string {
  const node = resolveLink(entry);
  const { stat } = node;
  const link = entry.kind === "hardlink" ? targets.get(entry.target) : undefined;
  const nlink = node.kind === "directory" ? directoryNlink(node) : node.nlink;
  const rdev = node.kind === "chardev" || node.kind === "blockdev" ? node.rdev : 0;
  const [payload, content, digest] = contentFields(node);
  return (
    `${path} ${sizeOf(node)} ${entry.kind === "hardlink" ? "@" : ""}${modeOf(node).toString(8)} ${nlink} ` +
    `${stat.uid} ${stat.gid} ${rdev} ${stat.mtime.sec}.${stat.mtime.nsec} ` +
    `${link === undefined ? payload : escapeBytes(link, { loneDash: true })} ${content} ${digest}` +
    `${formatXattrs(stat)}\n`
  );
}

function directoryNlink(directory: Directory): number {
  if (directory.recorded !== undefined) return directory.recorded.nlink;
  let count = 2;
  for (const node of directory.entries.values()) if (node.kind === "directory") count++;
  return count;
}

function sizeOf(node: Directory | Leaf): number {
  switch (node.kind) {
    case "directory":
      return node.recorded?.size ?? 0;
    case "file":
      return node.content.kind === "inline" ? node.content.data.length : node.content.size;
    case "symlink":
      return node.target.length;
    case "chardev":
    case "blockdev":
    case "fifo":
    case "socket":
      return node.claimedSize;
  }
}

function contentFields(node: Directory | Leaf): [payload: string, content: string, digest: string] {
  if (node.kind === "symlink") return [escapeBytes(node.target, { loneDash: true }), "-", "-"];
  if (node.kind !== "file") return ["-", "-", "-"];
  const { content } = node;
  switch (content.kind) {
    case "inline":
      if (content.data.length === 0) return ["-", "-", "-"];
      return ["-", escapeBytes(byteStringFrom(content.data), { loneDash: true }), "-"];
    case "external":
      return [
        content.path === undefined ? "-" : escapeBytes(content.path, { loneDash: true }),
        "-",
        content.digest ?? "-",
      ];
    case "sparse":
      return ["-", "-", "-"];
  }
}

function formatXattrs(stat: Stat): string {
  let text = "";
  for (const [name, value] of stat.xattrs) {
    text += ` ${escapeBytes(name, { equals: true })}=${escapeBytes(byteStringFrom(value), { equals: true })}`;
  }
  return text;
}
