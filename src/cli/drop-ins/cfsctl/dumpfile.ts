/**
 * A tree as the dump that cfsctl prints.
 *
 * It differs from the one of `composefs-info dump` in what an image cannot tell anyway: the link counts are
 * those of the tree, a further name of a leaf has dashes where its numbers would stand, xattrs are sorted,
 * an external file shows the path that follows from its digest.
 *
 * Source: composefs-rs 0.9, what `create-dumpfile`, `oci dump` and `dump-files` print.
 */

import { byteStringFrom } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { TextWriter } from "../../../core/bytes/text-writer.ts";
import { writeEscaped } from "../../../core/dump/escape.ts";
import type { LayerEntry } from "../../../core/oci/mod.ts";
import { objectPath } from "../../../core/fsverity/digest.ts";
import { FILE_TYPE, modeOf, resolveLink, sortedEntries } from "../../../core/tree/node.ts";
import type { Directory, Leaf, Node, Stat } from "../../../core/tree/node.ts";

/** Bytes of text that are collected before they are handed out. */
const PIECE = 1 << 16;

/** Yields the dump of `node`, which stands at `path`, in pieces that end at line ends. */
export function* formatDumpfile(
  node: Directory | Leaf,
  path: ByteString,
  nlinks: ReadonlyMap<Leaf, number>,
): Generator<Uint8Array> {
  const writer = new DumpfileWriter(nlinks);
  for (const _ of writer.lines(node, path)) {
    if (writer.out.length >= PIECE) yield writer.out.take();
  }
  yield writer.out.take();
}

/** The entries of a layer as they come, each with one name. */
export function* formatEntries(entries: Iterable<LayerEntry>): Generator<Uint8Array> {
  const writer = new DumpfileWriter(new Map());
  for (const entry of entries) {
    switch (entry.kind) {
      case "directory":
        writer.directory(entry.path, entry.stat, 1);
        break;
      case "hardlink":
        writer.further(entry.path, entry.target);
        break;
      case "leaf":
        writer.leaf(entry.path, entry.leaf, 1);
    }
    if (writer.out.length >= PIECE) yield writer.out.take();
  }
  yield writer.out.take();
}

/** How many names each leaf of a tree has that has more than one. */
export function countLinks(root: Directory): Map<Leaf, number> {
  const counts = new Map<Leaf, number>();
  const pending: Directory[] = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const node of directory.entries.values()) {
      if (node.kind === "directory") pending.push(node);
      else if (node.kind === "hardlink")
        counts.set(node.target, (counts.get(node.target) ?? 1) + 1);
    }
  }
  return counts;
}

class DumpfileWriter {
  readonly out = new TextWriter();
  readonly #nlinks: ReadonlyMap<Leaf, number>;
  /** The path of each leaf with several names that has been written. */
  readonly #written = new Map<Leaf, ByteString>();

  constructor(nlinks: ReadonlyMap<Leaf, number>) {
    this.#nlinks = nlinks;
  }

  /** Writes a line before each step; a stack of its own, because trees are deep. */
  *lines(node: Directory | Leaf, path: ByteString): Generator<void> {
    const pending: (readonly [path: ByteString, node: Node])[] = [[path, node]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [at, each] = next;
      if (each.kind !== "directory") {
        this.#leafOf(at, resolveLink(each) as Leaf);
      } else {
        this.#directoryOf(at, each);
        const prefix = at.endsWith("/") ? at : `${at}/`;
        const children = [...sortedEntries(each)].reverse();
        for (const [name, child] of children)
          pending.push([`${prefix}${name}` as ByteString, child]);
      }
      yield;
    }
  }

  #directoryOf(path: ByteString, directory: Directory): void {
    let nlink = 2;
    for (const node of directory.entries.values()) if (node.kind === "directory") nlink++;
    this.directory(path, directory.stat, nlink);
  }

  #leafOf(path: ByteString, leaf: Leaf): void {
    const nlink = this.#nlinks.get(leaf) ?? 1;
    if (nlink > 1) {
      const first = this.#written.get(leaf);
      if (first !== undefined) return this.further(path, first);
      this.#written.set(leaf, path);
    }
    this.leaf(path, leaf, nlink);
  }

  directory(path: ByteString, stat: Stat, nlink: number): void {
    const mode = FILE_TYPE.directory | stat.mode;
    this.#line(path, stat, mode, { size: 0, nlink });
  }

  leaf(path: ByteString, leaf: Leaf, nlink: number): void {
    const { stat } = leaf;
    const mode = modeOf(leaf);
    switch (leaf.kind) {
      case "file":
        return this.#file(path, leaf, nlink);
      case "symlink":
        return this.#line(path, stat, mode, {
          size: leaf.target.length,
          nlink,
          payload: leaf.target,
        });
      case "chardev":
      case "blockdev":
        return this.#line(path, stat, mode, { size: 0, nlink, rdev: leaf.rdev });
      case "fifo":
      case "socket":
        return this.#line(path, stat, mode, { size: 0, nlink });
    }
  }

  #file(path: ByteString, leaf: Leaf & { readonly kind: "file" }, nlink: number): void {
    const { content, stat } = leaf;
    const mode = modeOf(leaf);
    if (content.kind === "inline") {
      const text = byteStringFrom(content.data);
      return this.#line(path, stat, mode, { size: content.data.length, nlink, content: text });
    }
    if (content.kind === "sparse")
      return this.#line(path, stat, mode, { size: content.size, nlink });
    const { digest } = content;
    const payload = digest === undefined ? content.path : objectPath(digest);
    this.#line(path, stat, mode, { size: content.size, nlink, payload, digest });
  }

  further(path: ByteString, first: ByteString): void {
    this.#path(path);
    this.out.text(" 0 @120000 - - - - 0.0 ");
    writeEscaped(this.out, first, { loneDash: true });
    this.out.text(" - -\n");
  }

  #path(path: ByteString): void {
    if (path === "") this.out.text("-");
    else writeEscaped(this.out, path);
  }

  #line(path: ByteString, stat: Stat, mode: number, fields: LineFields): void {
    const { out } = this;
    this.#path(path);
    out.text(` ${fields.size} ${mode.toString(8)} ${fields.nlink}`);
    out.text(` ${stat.uid} ${stat.gid} ${fields.rdev ?? 0} ${stat.mtime.sec}.${stat.mtime.nsec}`);
    this.#optional(fields.payload);
    this.#optional(fields.content);
    out.text(` ${fields.digest ?? "-"}`);
    this.#xattrs(stat);
    out.text("\n");
  }

  #optional(value: ByteString | undefined): void {
    this.out.text(" ");
    if (value === undefined || value === "") this.out.text("-");
    else writeEscaped(this.out, value, { loneDash: true });
  }

  #xattrs({ xattrs }: Stat): void {
    for (const [name, value] of [...xattrs].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      this.out.text(" ");
      writeEscaped(this.out, name, { equals: true });
      this.out.text("=");
      writeEscaped(this.out, byteStringFrom(value), { equals: true });
    }
  }
}

interface LineFields {
  readonly size: number;
  readonly nlink: number;
  readonly rdev?: number;
  readonly payload?: ByteString | undefined;
  readonly content?: ByteString;
  readonly digest?: string | undefined;
}
