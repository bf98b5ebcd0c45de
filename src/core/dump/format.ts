/**
 * Entries to a dump, line for line as `composefs-info dump` prints it: depth first, in byte order.
 */

import { byteStringFrom } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { TextWriter } from "../bytes/text-writer.ts";
import { modeOf, resolveLink } from "../tree/node.ts";
import type { Directory, Leaf, Timestamp, Xattrs } from "../tree/node.ts";
import { linkTargetPaths, walkTree } from "../tree/walk.ts";
import { escapeBytes, writeEscaped } from "./escape.ts";

/** One line of a dump, before it is text. */
export interface DumpEntry {
  readonly path: ByteString;
  /** What the name leads to; of a further name, the leaf. */
  readonly node: Directory | Leaf;
  /** Of a further name of a leaf, the path of its first one. */
  readonly linkOf: ByteString | undefined;
}

/** Bytes of text that are collected before they are handed out. */
const PIECE = 1 << 16;

/** Texts of xattrs that are remembered: inodes mostly share theirs with many others. */
const XATTR_CACHE_SIZE = 1024;

/** Yields the dump of a tree in pieces of ASCII text that end at line ends. */
export function* formatDump(root: Directory): Generator<string> {
  for (const piece of formatDumpEntries(entriesOf(root))) yield byteStringFrom(piece);
}

function* entriesOf(root: Directory): Generator<DumpEntry> {
  const targets = linkTargetPaths(root);
  for (const { path, node } of walkTree(root)) {
    const linkOf = node.kind === "hardlink" ? targets.get(node.target) : undefined;
    yield { path, node: resolveLink(node), linkOf };
  }
}

/**
 * Yields the lines of entries in pieces of ASCII that end at line ends, each in a buffer of its own.
 *
 * A directory shows the size and link count that its image recorded, else 0 and the true count. A
 * hard link shows `@` before the mode, the path of its first name as payload, and the rest of what
 * its first name shows.
 */
export function* formatDumpEntries(entries: Iterable<DumpEntry>): Generator<Uint8Array> {
  const lines = new LineWriter();
  for (const entry of entries) {
    lines.write(entry);
    if (lines.out.length >= PIECE) yield lines.out.take();
  }
  if (lines.out.length > 0) yield lines.out.take();
}

class LineWriter {
  readonly out = new TextWriter();
  readonly #xattrs = new Map<Xattrs, string>();

  write({ path, node, linkOf }: DumpEntry): void {
    const { out } = this;
    const { stat } = node;
    writeEscaped(out, path);
    this.#number(sizeOf(node), 10);
    out.text(linkOf === undefined ? " " : " @");
    out.integer(modeOf(node), 8);
    this.#number(node.kind === "directory" ? directoryNlink(node) : node.nlink, 10);
    this.#number(stat.uid, 10);
    this.#number(stat.gid, 10);
    this.#number(node.kind === "chardev" || node.kind === "blockdev" ? node.rdev : 0, 10);
    this.#time(stat.mtime);
    this.#content(node, linkOf);
    if (stat.xattrs.size > 0) out.text(this.#xattrText(stat.xattrs));
    out.text("\n");
  }

  #number(value: number, base: 8 | 10): void {
    this.out.text(" ");
    this.out.integer(value, base);
  }

  #time({ sec, nsec }: Timestamp): void {
    const { out } = this;
    out.text(" ");
    // A number where that is exact: it is written without a string of its own.
    if (sec >= 0n && sec <= 0x7fff_ffffn) out.integer(Number(sec), 10);
    else out.text(sec.toString());
    out.text(".");
    out.integer(nsec, 10);
  }

  /** Payload, content and digest, each behind a space. */
  #content(node: Directory | Leaf, linkOf: ByteString | undefined): void {
    const content = node.kind === "file" ? node.content : undefined;
    const external = content?.kind === "external" ? content : undefined;
    const inline = content?.kind === "inline" && content.data.length > 0 ? content.data : undefined;
    this.#optional(linkOf ?? (node.kind === "symlink" ? node.target : external?.path));
    this.#optional(inline === undefined ? undefined : byteStringFrom(inline));
    this.out.text(" ");
    this.out.text(external?.digest ?? "-");
  }

  #optional(value: ByteString | undefined): void {
    this.out.text(" ");
    if (value === undefined) this.out.text("-");
    else writeEscaped(this.out, value, { loneDash: true });
  }

  #xattrText(xattrs: Xattrs): string {
    const known = this.#xattrs.get(xattrs);
    if (known !== undefined) return known;
    const text = formatXattrs(xattrs);
    if (this.#xattrs.size >= XATTR_CACHE_SIZE) this.#xattrs.clear();
    this.#xattrs.set(xattrs, text);
    return text;
  }
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

function formatXattrs(xattrs: Xattrs): string {
  let text = "";
  for (const [name, value] of xattrs) {
    text += ` ${escapeBytes(name, { equals: true })}=${escapeBytes(byteStringFrom(value), { equals: true })}`;
  }
  return text;
}
