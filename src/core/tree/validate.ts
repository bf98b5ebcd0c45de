/**
 * The gate to the writer: a tree that passes can be written, in every format version that holds it.
 *
 * Limits are those of EROFS and of C `mkcomposefs` (libcomposefs/lcfs-writer.c, lcfs_node_validate).
 */

import { displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import {
  LCFS_INLINE_CONTENT_MAX,
  LCFS_MAX_NAME_LENGTH,
  PATH_MAX,
  XATTR_NAME_MAX,
} from "../erofs/format.ts";
import { ComposefsError } from "../errors.ts";
import type { Directory, FileContent, Leaf, Node, Stat } from "./node.ts";

declare const validated: unique symbol;

/** A tree that {@link validateTree} has passed. It must not be changed afterwards. */
export interface ValidatedTree {
  readonly root: Directory;
  /** Leaves with more than one name, and how many names each has. */
  readonly linkCounts: ReadonlyMap<Leaf, number>;
  /** Number of inodes: directories and leaves. */
  readonly inodes: number;
  readonly [validated]: true;
}

/** Largest size of a file that is not inline: what 1024 chunks of the largest size hold. */
export const MAX_FILE_SIZE = 2 ** 53;

const UINT32_MAX = 0xffffffff;
/** Most bytes of xattrs that `i_xattr_icount` (16 bits, words of 4 bytes) can count. */
const XATTR_BODY_MAX = 12 + 4 * 0xfffe;
/** What the writer adds to an inode's xattrs at most: redirect, metacopy, whiteout marks, escapes. */
const XATTR_RESERVE = PATH_MAX + 512;

/**
 * Checks every rule that the formats have: names, sizes, xattrs, numbers, hard links.
 *
 * @throws ComposefsError `invalid-tree`, naming the path and the rule.
 */
export function validateTree(root: Directory): ValidatedTree {
  const seen = new Set<Node>();
  const linked = new Map<Leaf, number>();
  const firstLink = new Map<Leaf, Place>();
  const open: OpenDirectory[] = [openDirectory(root, undefined, "" as ByteString)];
  check(root, { parent: undefined, name: "" as ByteString }, seen);
  for (let top = open[0]; top !== undefined; top = open[open.length - 1]) {
    const next = top.entries.next();
    if (next.done === true) {
      open.pop();
      continue;
    }
    const [name, node] = next.value;
    const place = { parent: top, name };
    checkName(place, name);
    if (node.kind === "hardlink") {
      linked.set(node.target, (linked.get(node.target) ?? 1) + 1);
      if (!firstLink.has(node.target)) firstLink.set(node.target, place);
      continue;
    }
    check(node, place, seen);
    if (node.kind === "directory") open.push(openDirectory(node, top, name));
  }
  for (const target of linked.keys()) {
    const place = firstLink.get(target)!;
    if (!seen.has(target)) throw invalid(place, "hard link to a file outside the tree");
  }
  return { root, linkCounts: linked, inodes: seen.size } as unknown as ValidatedTree;
}

/** Where a node stands; its path is put together only for an error. */
interface Place {
  readonly parent: OpenDirectory | undefined;
  readonly name: ByteString;
}

interface OpenDirectory extends Place {
  readonly entries: Iterator<[ByteString, Node]>;
}

function openDirectory(
  directory: Directory,
  parent: OpenDirectory | undefined,
  name: ByteString,
): OpenDirectory {
  return { parent, name, entries: directory.entries.entries() };
}

function check(node: Directory | Leaf, place: Place, seen: Set<Node>): void {
  if (seen.has(node)) throw invalid(place, "the same node stands at two places (use a hard link)");
  seen.add(node);
  checkStat(place, node.stat);
  checkNode(place, node);
}

function invalid(place: Place, reason: string): ComposefsError {
  const names: ByteString[] = [];
  for (let at: Place | undefined = place; at !== undefined; at = at.parent) names.push(at.name);
  const path = (names.length === 1 ? "/" : names.toReversed().join("/")) as ByteString;
  return new ComposefsError(
    "invalid-tree",
    `Cannot write "${displayText(path)}" to an image: ${reason}`,
  );
}

function checkName(place: Place, name: ByteString): void {
  if (name.length === 0) throw invalid(place, "empty name");
  if (name.length > LCFS_MAX_NAME_LENGTH) throw invalid(place, "name is longer than 255 bytes");
  if (name === "." || name === "..") throw invalid(place, "name is . or ..");
  if (name.includes("/") || name.includes("\0"))
    throw invalid(place, "name holds a slash or a NUL byte");
}

function checkStat(place: Place, stat: Stat): void {
  const { mode, uid, gid, mtime, xattrs } = stat;
  if (!isUnsigned(mode, 0o7777)) throw invalid(place, `mode ${mode.toString(8)} is out of range`);
  if (!isUnsigned(uid, UINT32_MAX)) throw invalid(place, `uid ${uid} is out of range`);
  if (!isUnsigned(gid, UINT32_MAX)) throw invalid(place, `gid ${gid} is out of range`);
  if (!isUnsigned(mtime.nsec, UINT32_MAX) || BigInt.asIntN(64, mtime.sec) !== mtime.sec) {
    throw invalid(place, `time ${mtime.sec}.${mtime.nsec} is out of range`);
  }
  let total = 12;
  for (const [name, value] of xattrs) {
    if (name.length === 0 || name.length > XATTR_NAME_MAX || name.includes("\0")) {
      throw invalid(place, `xattr name "${displayText(name)}" is not 1 to 255 bytes without NUL`);
    }
    if (value.length > 0xffff) {
      throw invalid(place, `xattr "${displayText(name)}" has more than 65535 bytes`);
    }
    total += 4 + name.length + value.length + 3;
  }
  if (total > XATTR_BODY_MAX - XATTR_RESERVE) throw invalid(place, "too many bytes of xattrs");
}

function checkNode(place: Place, node: Directory | Leaf): void {
  if (node.kind === "directory") return;
  if (!isUnsigned(node.nlink, UINT32_MAX))
    throw invalid(place, `link count ${node.nlink} is out of range`);
  switch (node.kind) {
    case "file":
      return checkContent(place, node.content);
    case "symlink":
      return checkPath(place, "symlink target", node.target);
    case "chardev":
    case "blockdev":
      if (!isUnsigned(node.rdev, UINT32_MAX)) {
        throw invalid(place, `device number ${node.rdev} is out of range`);
      }
      return;
    case "fifo":
    case "socket":
      return;
    default:
      node satisfies never;
      throw invalid(place, "unknown kind of node");
  }
}

function checkContent(place: Place, content: FileContent): void {
  if (content.kind === "inline") {
    if (content.data.length > LCFS_INLINE_CONTENT_MAX) {
      throw invalid(place, `inline content has more than ${LCFS_INLINE_CONTENT_MAX} bytes`);
    }
    return;
  }
  const { size } = content;
  if (!Number.isInteger(size) || size < 1 || size > MAX_FILE_SIZE) {
    throw invalid(place, `file size ${size} is out of range`);
  }
  if (content.kind === "sparse") return;
  if (content.path !== undefined) checkPath(place, "path of backing file", content.path);
  else if (content.digest === undefined)
    throw invalid(place, "external file without path and digest");
}

function checkPath(place: Place, what: string, value: ByteString): void {
  if (value.length === 0 || value.length >= PATH_MAX || value.includes("\0")) {
    throw invalid(place, `${what} is not 1 to ${PATH_MAX - 1} bytes without NUL`);
  }
}

function isUnsigned(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
