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
import { isWhiteout } from "./node.ts";
import type { Directory, FileContent, Leaf, Node, Stat, Xattrs } from "./node.ts";
import { walkTree } from "./walk.ts";

declare const validated: unique symbol;

/** A tree that {@link validateTree} has passed. It must not be changed afterwards. */
export interface ValidatedTree {
  readonly root: Directory;
  /** Leaves with more than one name, and how many names each has. */
  readonly linkCounts: ReadonlyMap<Leaf, number>;
  /** Number of inodes: directories and leaves. */
  readonly inodes: number;
  /** Whether there is an overlayfs whiteout among them. */
  readonly hasWhiteouts: boolean;
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
  const seen = new Set<Node>([root]);
  const linked = new Map<Leaf, number>();
  const open: OpenDirectory[] = [{ directory: root, parent: undefined, name: "" as ByteString }];
  let hasWhiteouts = false;
  const problem = nodeProblem(root);
  if (problem !== undefined) throw invalid(open[0], "" as ByteString, problem);
  for (let top = open.pop(); top !== undefined; top = open.pop()) {
    for (const [name, node] of top.directory.entries) {
      const reason =
        nameProblem(name) ??
        (node.kind === "hardlink" ? undefined : (nodeProblem(node) ?? placeProblem(node, seen)));
      if (reason !== undefined) throw invalid(top, name, reason);
      if (node.kind === "directory") open.push({ directory: node, parent: top, name });
      else if (node.kind === "hardlink") countLink(linked, node.target);
      else hasWhiteouts ||= isWhiteout(node);
    }
  }
  for (const target of linked.keys()) {
    if (!seen.has(target)) throw strayLink(root, target);
  }
  return { root, linkCounts: linked, inodes: seen.size, hasWhiteouts } as unknown as ValidatedTree;
}

/** A directory and the way to it; a path is put together only for an error. */
interface OpenDirectory {
  readonly directory: Directory;
  readonly parent: OpenDirectory | undefined;
  readonly name: ByteString;
}

function invalid(
  parent: OpenDirectory | undefined,
  name: ByteString,
  reason: string,
): ComposefsError {
  const names: ByteString[] = [name];
  for (let at = parent; at?.parent !== undefined; at = at.parent) names.push(at.name);
  return invalidPath(`/${names.toReversed().join("/")}` as ByteString, reason);
}

function invalidPath(path: ByteString, reason: string): ComposefsError {
  return new ComposefsError(
    "invalid-tree",
    `Cannot write "${displayText(path)}" to an image: ${reason}`,
  );
}

/** Looks for the path again, because it is wanted only once in a lifetime. */
function strayLink(root: Directory, target: Leaf): ComposefsError {
  for (const { path, node } of walkTree(root)) {
    if (node.kind === "hardlink" && node.target === target) {
      return invalidPath(path, "hard link to a file outside the tree");
    }
  }
  throw new Error("unreachable: the link was seen a moment ago");
}

function countLink(linked: Map<Leaf, number>, target: Leaf): void {
  linked.set(target, (linked.get(target) ?? 1) + 1);
}

function placeProblem(node: Node, seen: Set<Node>): string | undefined {
  // One look-up, not two: a set of many nodes is mostly not in the processor's cache.
  const before = seen.size;
  seen.add(node);
  return seen.size > before ? undefined : "the same node stands at two places (use a hard link)";
}

function nameProblem(name: ByteString): string | undefined {
  if (name.length === 0) return "empty name";
  if (name.length > LCFS_MAX_NAME_LENGTH) return "name is longer than 255 bytes";
  if (name === "." || name === "..") return "name is . or ..";
  if (name.includes("/") || name.includes("\0")) return "name holds a slash or a NUL byte";
  return undefined;
}

function nodeProblem(node: Directory | Leaf): string | undefined {
  const problem = statProblem(node.stat);
  if (problem !== undefined || node.kind === "directory") return problem;
  if (!isUnsigned(node.nlink, UINT32_MAX)) return `link count ${node.nlink} is out of range`;
  switch (node.kind) {
    case "file":
      return contentProblem(node.content);
    case "symlink":
      return pathProblem("symlink target", node.target);
    case "chardev":
    case "blockdev":
      if (isUnsigned(node.rdev, UINT32_MAX)) return undefined;
      return `device number ${node.rdev} is out of range`;
    case "fifo":
    case "socket":
      return undefined;
  }
}

function statProblem(stat: Stat): string | undefined {
  const { mode, uid, gid, mtime, xattrs } = stat;
  if (!isUnsigned(mode, 0o7777)) return `mode ${mode.toString(8)} is out of range`;
  if (!isUnsigned(uid, UINT32_MAX)) return `uid ${uid} is out of range`;
  if (!isUnsigned(gid, UINT32_MAX)) return `gid ${gid} is out of range`;
  if (!isUnsigned(mtime.nsec, UINT32_MAX) || BigInt.asIntN(64, mtime.sec) !== mtime.sec) {
    return `time ${mtime.sec}.${mtime.nsec} is out of range`;
  }
  return xattrs.size === 0 ? undefined : xattrsProblem(xattrs);
}

function xattrsProblem(xattrs: Xattrs): string | undefined {
  let total = 12;
  for (const [name, value] of xattrs) {
    if (name.length === 0 || name.length > XATTR_NAME_MAX || name.includes("\0")) {
      return `xattr name "${displayText(name)}" is not 1 to 255 bytes without NUL`;
    }
    if (value.length > 0xffff) return `xattr "${displayText(name)}" has more than 65535 bytes`;
    total += 4 + name.length + value.length + 3;
  }
  return total > XATTR_BODY_MAX - XATTR_RESERVE ? "too many bytes of xattrs" : undefined;
}

function contentProblem(content: FileContent): string | undefined {
  if (content.kind === "inline") {
    if (content.data.length <= LCFS_INLINE_CONTENT_MAX) return undefined;
    return `inline content has more than ${LCFS_INLINE_CONTENT_MAX} bytes`;
  }
  const { size } = content;
  if (!Number.isInteger(size) || size < 1 || size > MAX_FILE_SIZE) {
    return `file size ${size} is out of range`;
  }
  if (content.kind === "sparse") return undefined;
  if (content.path !== undefined) return pathProblem("path of backing file", content.path);
  return content.digest === undefined ? "external file without path and digest" : undefined;
}

function pathProblem(what: string, value: ByteString): string | undefined {
  if (value.length > 0 && value.length < PATH_MAX && !value.includes("\0")) return undefined;
  return `${what} is not 1 to ${PATH_MAX - 1} bytes without NUL`;
}

function isUnsigned(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
