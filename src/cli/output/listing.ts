/**
 * The long listing of a tree, like `ls -l`: for people as columns, for programs as JSON.
 */

import { byteStringFrom, displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { resolveLink } from "../../core/tree/node.ts";
import type { Directory, Leaf, NodeKind, Timestamp } from "../../core/tree/node.ts";
import { linkTargetPaths, walkTree } from "../../core/tree/walk.ts";
import type { WalkEntry } from "../../core/tree/walk.ts";

const TYPE_LETTER: Readonly<Record<NodeKind, string>> = {
  fifo: "p",
  chardev: "c",
  directory: "d",
  blockdev: "b",
  file: "-",
  symlink: "l",
  socket: "s",
};

/** The mode as `ls` shows it: `-rwsr-xr-t`. `mode` is 0 to 0o7777. */
export function formatMode(kind: NodeKind, mode: number): string {
  return (
    TYPE_LETTER[kind] +
    permissions(mode >> 6, (mode & 0o4000) !== 0, "s") +
    permissions(mode >> 3, (mode & 0o2000) !== 0, "s") +
    permissions(mode, (mode & 0o1000) !== 0, "t")
  );
}

/** Three letters for the lowest three bits; `special` shows in the place of execution. */
function permissions(bits: number, special: boolean, letter: string): string {
  const execute = special ? (bits & 1 ? letter : letter.toUpperCase()) : bits & 1 ? "x" : "-";
  return (bits & 4 ? "r" : "-") + (bits & 2 ? "w" : "-") + execute;
}

/** The time in UTC to the minute: `2026-11-21 09:04`; seconds where the calendar ends. */
export function formatTime(time: Timestamp): string {
  // Date reaches 8.64e12 seconds; years of more than four digits would shift the columns anyway.
  if (time.sec < -62167219200n || time.sec > 253402300799n) return `@${time.sec}`;
  return new Date(Number(time.sec) * 1000).toISOString().slice(0, 16).replace("T", " ");
}

/** A device number of the kernel's encoding as `major:minor`. */
export function splitDevice(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: ((rdev >>> 20) << 8) | (rdev & 0xff) };
}

/** One entry of a listing. */
export interface ListedEntry extends WalkEntry {
  /** Where the first name is, of a further name. */
  readonly linkOf: ByteString | undefined;
}

/**
 * The entries of a tree, or of the part of it at `below`; none where there is no such path. Can be
 * iterated more than once, and keeps nothing in between: a listing can be as long as it likes.
 */
export function listEntries(root: Directory, below?: ByteString): Iterable<ListedEntry> {
  const wanted = below === undefined ? "/" : normalizePath(below);
  const inside = wanted === "/" ? "/" : `${wanted}/`;
  const links = linkTargetPaths(root);
  return {
    *[Symbol.iterator]() {
      for (const { path, name, node } of walkTree(root)) {
        if (path !== wanted && !path.startsWith(inside)) continue;
        const linkOf = node.kind === "hardlink" ? links.get(node.target) : undefined;
        yield { path, name, node, linkOf };
      }
    },
  };
}

/** Absolute, without doubled or trailing slashes. */
function normalizePath(path: ByteString): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return `/${parts.join("/")}`;
}

/** The lines of a listing, without line ends; columns are as wide as their widest entry. */
export function* formatListing(entries: Iterable<ListedEntry>): Generator<string> {
  const widths = [0, 0, 0, 0];
  for (const { node } of entries) {
    numberColumns(resolveLink(node)).forEach((text, i) => {
      if (text.length > widths[i]!) widths[i] = text.length;
    });
  }
  for (const { path, node: entry, linkOf } of entries) {
    const node = resolveLink(entry);
    const { mode, mtime } = node.stat;
    const numbers = numberColumns(node).map((text, i) => text.padStart(widths[i]!));
    const name = displayText(path) + tail(node, linkOf);
    yield `${formatMode(node.kind, mode)} ${numbers.join(" ")} ${formatTime(mtime)} ${name}`;
  }
}

/** Link count, owner, group, size or device number. */
function numberColumns(node: Directory | Leaf): string[] {
  return [`${nlinkOf(node)}`, `${node.stat.uid}`, `${node.stat.gid}`, sizeColumn(node)];
}

/** The recorded link count; a tree that was never an image has none for directories. */
function nlinkOf(node: Directory | Leaf): number {
  return node.kind === "directory" ? (node.recorded?.nlink ?? 1) : node.nlink;
}

function sizeColumn(node: Directory | Leaf): string {
  if (node.kind !== "chardev" && node.kind !== "blockdev") return `${sizeOf(node)}`;
  const { major, minor } = splitDevice(node.rdev);
  return `${major},${minor}`;
}

/** What the size column and the JSON say: content of files, length of targets, else what is recorded. */
function sizeOf(node: Directory | Leaf): number {
  switch (node.kind) {
    case "file":
      return node.content.kind === "inline" ? node.content.data.length : node.content.size;
    case "symlink":
      return node.target.length;
    case "directory":
      return node.recorded?.size ?? 0;
    default:
      return 0;
  }
}

function tail(node: Directory | Leaf, linkOf: ByteString | undefined): string {
  if (linkOf !== undefined) return ` = ${displayText(linkOf)}`;
  if (node.kind === "symlink") return ` -> ${displayText(node.target)}`;
  if (node.kind !== "file" || node.content.kind !== "external") return "";
  const { path, digest } = node.content;
  return ` @ ${path === undefined ? digest : displayText(path)}`;
}

/** An entry as a JSON object; the man page of `composefs ls` says what the keys are. */
export function jsonEntry(entry: ListedEntry): Record<string, unknown> {
  const node = resolveLink(entry.node);
  const { mode, uid, gid, mtime, xattrs } = node.stat;
  const json: Record<string, unknown> = {
    path: displayText(entry.path),
    type: node.kind,
    mode,
    nlink: nlinkOf(node),
    uid,
    gid,
    size: sizeOf(node),
    mtime: { sec: `${mtime.sec}`, nsec: mtime.nsec },
  };
  if (node.kind === "symlink") json["target"] = displayText(node.target);
  if (node.kind === "chardev" || node.kind === "blockdev") {
    const { major, minor } = splitDevice(node.rdev);
    json["rdev"] = `${major}:${minor}`;
  }
  if (node.kind === "file") {
    const { content } = node;
    json["content"] = content.kind;
    if (content.kind === "external" && content.path !== undefined) {
      json["object"] = displayText(content.path);
    }
    if (content.kind === "external" && content.digest !== undefined)
      json["digest"] = content.digest;
  }
  if (entry.linkOf !== undefined) json["linkOf"] = displayText(entry.linkOf);
  if (xattrs.size > 0) {
    json["xattrs"] = Object.fromEntries(
      [...xattrs].map(([name, value]) => [displayText(name), displayText(byteStringFrom(value))]),
    );
  }
  return json;
}
