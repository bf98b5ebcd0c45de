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
import { walkTree } from "./walk.ts";

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
  const firstPath = new Map<Leaf, ByteString>();
  for (const { path, name, node } of walkTree(root)) {
    if (node !== root) checkName(path, name);
    if (node.kind === "hardlink") {
      linked.set(node.target, (linked.get(node.target) ?? 1) + 1);
      if (!firstPath.has(node.target)) firstPath.set(node.target, path);
      continue;
    }
    if (seen.has(node)) throw invalid(path, "the same node stands at two places (use a hard link)");
    seen.add(node);
    checkStat(path, node.stat);
    checkNode(path, node);
  }
  for (const target of linked.keys()) {
    if (!seen.has(target))
      throw invalid(firstPath.get(target)!, "hard link to a file outside the tree");
  }
  return { root, linkCounts: linked, inodes: seen.size } as unknown as ValidatedTree;
}

function invalid(path: ByteString, reason: string): ComposefsError {
  return new ComposefsError(
    "invalid-tree",
    `Cannot write "${displayText(path)}" to an image: ${reason}`,
  );
}

function checkName(path: ByteString, name: ByteString): void {
  if (name.length === 0) throw invalid(path, "empty name");
  if (name.length > LCFS_MAX_NAME_LENGTH) throw invalid(path, "name is longer than 255 bytes");
  if (name === "." || name === "..") throw invalid(path, "name is . or ..");
  if (name.includes("/") || name.includes("\0"))
    throw invalid(path, "name holds a slash or a NUL byte");
}

function checkStat(path: ByteString, stat: Stat): void {
  const { mode, uid, gid, mtime, xattrs } = stat;
  if (!isUnsigned(mode, 0o7777)) throw invalid(path, `mode ${mode.toString(8)} is out of range`);
  if (!isUnsigned(uid, UINT32_MAX)) throw invalid(path, `uid ${uid} is out of range`);
  if (!isUnsigned(gid, UINT32_MAX)) throw invalid(path, `gid ${gid} is out of range`);
  if (!isUnsigned(mtime.nsec, UINT32_MAX) || BigInt.asIntN(64, mtime.sec) !== mtime.sec) {
    throw invalid(path, `time ${mtime.sec}.${mtime.nsec} is out of range`);
  }
  let total = 12;
  for (const [name, value] of xattrs) {
    if (name.length === 0 || name.length > XATTR_NAME_MAX || name.includes("\0")) {
      throw invalid(path, `xattr name "${displayText(name)}" is not 1 to 255 bytes without NUL`);
    }
    if (value.length > 0xffff) {
      throw invalid(path, `xattr "${displayText(name)}" has more than 65535 bytes`);
    }
    total += 4 + name.length + value.length + 3;
  }
  if (total > XATTR_BODY_MAX - XATTR_RESERVE) throw invalid(path, "too many bytes of xattrs");
}

function checkNode(path: ByteString, node: Directory | Leaf): void {
  if (node.kind === "directory") return;
  if (!isUnsigned(node.nlink, UINT32_MAX))
    throw invalid(path, `link count ${node.nlink} is out of range`);
  switch (node.kind) {
    case "file":
      return checkContent(path, node.content);
    case "symlink":
      return checkPath(path, "symlink target", node.target);
    case "chardev":
    case "blockdev":
      if (!isUnsigned(node.rdev, UINT32_MAX)) {
        throw invalid(path, `device number ${node.rdev} is out of range`);
      }
      return;
    case "fifo":
    case "socket":
      return;
    default:
      node satisfies never;
      throw invalid(path, "unknown kind of node");
  }
}

function checkContent(path: ByteString, content: FileContent): void {
  if (content.kind === "inline") {
    if (content.data.length > LCFS_INLINE_CONTENT_MAX) {
      throw invalid(path, `inline content has more than ${LCFS_INLINE_CONTENT_MAX} bytes`);
    }
    return;
  }
  const { size } = content;
  if (!Number.isInteger(size) || size < 1 || size > MAX_FILE_SIZE) {
    throw invalid(path, `file size ${size} is out of range`);
  }
  if (content.kind === "sparse") return;
  if (content.path !== undefined) checkPath(path, "path of backing file", content.path);
  else if (content.digest === undefined)
    throw invalid(path, "external file without path and digest");
}

function checkPath(path: ByteString, what: string, value: ByteString): void {
  if (value.length === 0 || value.length >= PATH_MAX || value.includes("\0")) {
    throw invalid(path, `${what} is not 1 to ${PATH_MAX - 1} bytes without NUL`);
  }
}

function isUnsigned(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
