/**
 * What differs between two trees, name by name in byte order.
 *
 * Content is compared by what the tree knows: bytes of inline files, digest (or path) and size of
 * external ones. An inline file and an external one of the same content count as different.
 */

import { compareByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { resolveLink, sortedEntries } from "./node.ts";
import type { Directory, FileContent, Leaf, Node, Stat, Xattrs } from "./node.ts";
import { linkTargetPaths } from "./walk.ts";

/** What can differ between two nodes of one path. */
export type ChangedAspect =
  | "kind"
  | "mode"
  | "owner"
  | "mtime"
  | "xattrs"
  | "content"
  | "target"
  | "device"
  | "link";

/** One difference. Added and removed directories are followed by all that is in them. */
export type TreeDifference =
  | { readonly change: "added"; readonly path: ByteString; readonly after: Node }
  | { readonly change: "removed"; readonly path: ByteString; readonly before: Node }
  | {
      readonly change: "changed";
      readonly path: ByteString;
      readonly before: Node;
      readonly after: Node;
      /** In the order of {@link ChangedAspect}; never empty. */
      readonly aspects: readonly ChangedAspect[];
    };

interface Frame {
  readonly prefix: string;
  readonly before: readonly [ByteString, Node][];
  readonly after: readonly [ByteString, Node][];
  nextBefore: number;
  nextAfter: number;
}

/** Yields the differences, depth first; nothing for equal trees. */
export function* diffTrees(before: Directory, after: Directory): Generator<TreeDifference> {
  const links = { before: linkTargetPaths(before), after: linkTargetPaths(after) };
  const rootAspects = compareNodes(before, after, links);
  if (rootAspects.length > 0) {
    yield { change: "changed", path: "/" as ByteString, before, after, aspects: rootAspects };
  }
  const stack: Frame[] = [openFrame("/", before, after)];
  for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
    const a = top.before[top.nextBefore];
    const b = top.after[top.nextAfter];
    if (a === undefined && b === undefined) {
      stack.pop();
      continue;
    }
    const order = a === undefined ? 1 : b === undefined ? -1 : compareByteStrings(a[0], b[0]);
    const path = (top.prefix + (order <= 0 ? a![0] : b![0])) as ByteString;
    const left = order <= 0 ? a![1] : undefined;
    const right = order >= 0 ? b![1] : undefined;
    if (left !== undefined) top.nextBefore++;
    if (right !== undefined) top.nextAfter++;
    const difference = compareEntries(path, left, right, links);
    if (difference !== undefined) yield difference;
    if (left?.kind === "directory" || right?.kind === "directory") {
      stack.push(openFrame(`${path}/`, asDirectory(left), asDirectory(right)));
    }
  }
}

/** Paths of the first names of leaves with several, on either side. */
interface LinkPaths {
  readonly before: ReadonlyMap<Leaf, ByteString>;
  readonly after: ReadonlyMap<Leaf, ByteString>;
}

function compareEntries(
  path: ByteString,
  before: Node | undefined,
  after: Node | undefined,
  links: LinkPaths,
): TreeDifference | undefined {
  if (before === undefined) return { change: "added", path, after: after! };
  if (after === undefined) return { change: "removed", path, before };
  const aspects = compareNodes(before, after, links);
  return aspects.length === 0 ? undefined : { change: "changed", path, before, after, aspects };
}

function openFrame(
  prefix: string,
  before: Directory | undefined,
  after: Directory | undefined,
): Frame {
  return {
    prefix,
    before: before === undefined ? [] : [...sortedEntries(before)],
    after: after === undefined ? [] : [...sortedEntries(after)],
    nextBefore: 0,
    nextAfter: 0,
  };
}

function asDirectory(node: Node | undefined): Directory | undefined {
  return node?.kind === "directory" ? node : undefined;
}

function compareNodes(before: Node, after: Node, links: LinkPaths): ChangedAspect[] {
  const a = resolveLink(before);
  const b = resolveLink(after);
  const aspects: ChangedAspect[] = [];
  if (a.kind !== b.kind) aspects.push("kind");
  aspects.push(...compareStats(a.stat, b.stat));
  if (a.kind === "file" && b.kind === "file" && !sameContent(a.content, b.content)) {
    aspects.push("content");
  }
  if (a.kind === "symlink" && b.kind === "symlink" && a.target !== b.target) aspects.push("target");
  if ("rdev" in a && "rdev" in b && a.rdev !== b.rdev) aspects.push("device");
  const linkBefore = before.kind === "hardlink" ? links.before.get(before.target) : undefined;
  const linkAfter = after.kind === "hardlink" ? links.after.get(after.target) : undefined;
  if (linkBefore !== linkAfter) aspects.push("link");
  return aspects;
}

function compareStats(a: Stat, b: Stat): ChangedAspect[] {
  const aspects: ChangedAspect[] = [];
  if (a.mode !== b.mode) aspects.push("mode");
  if (a.uid !== b.uid || a.gid !== b.gid) aspects.push("owner");
  if (a.mtime.sec !== b.mtime.sec || a.mtime.nsec !== b.mtime.nsec) aspects.push("mtime");
  if (!sameXattrs(a.xattrs, b.xattrs)) aspects.push("xattrs");
  return aspects;
}

function sameXattrs(a: Xattrs, b: Xattrs): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) {
    const other = b.get(name);
    if (other === undefined || !sameBytes(value, other)) return false;
  }
  return true;
}

function sameContent(a: FileContent, b: FileContent): boolean {
  switch (a.kind) {
    case "inline":
      return b.kind === "inline" && sameBytes(a.data, b.data);
    case "external":
      return (
        b.kind === "external" && a.size === b.size && a.digest === b.digest && a.path === b.path
      );
    case "sparse":
      return b.kind === "sparse" && a.size === b.size;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
