/**
 * What lies where in an archive of an image, so that it can be read without being unpacked. Only headers
 * are read.
 *
 * Stricter than a layer is read: a name that is there twice, or leads out of the archive, is refused, as
 * readers disagree on what it means.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { TAR_BLOCKSIZE } from "../../core/tar/format.ts";
import { TarReader } from "../../core/tar/reader.ts";
import type { TarEvent } from "../../core/tar/reader.ts";
import type { TarEntry } from "../../core/tar/entry.ts";
import { preadFully } from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import { corruptArchive } from "../image-files.ts";
import type { FilePart } from "../image-files.ts";

/** An image of 127 layers is an archive of some 400 entries. */
const ENTRIES_MAX = 100_000;
/** Bytes of all headers, and of what follows the end. */
const RAW_SIZE_MAX = 1 << 28;
/** Links to links that are followed. */
const HOPS_MAX = 8;
const READ_SIZE = 1 << 16;

type Member =
  | { readonly kind: "file"; readonly offset: number; readonly size: number }
  | { readonly kind: "link"; readonly target: ByteString };

/** The members of an archive, by their names. */
export class ArchiveIndex {
  readonly #fd: Fd;
  readonly #size: number;
  readonly #name: string;
  readonly #members = new Map<ByteString, Member>();

  /** Reads the headers of `fd`, which has `size` bytes. Throws `corrupt-archive` and TarError. */
  constructor(fd: Fd, size: number, name: string) {
    this.#fd = fd;
    this.#size = size;
    this.#name = name;
    this.#read();
  }

  /** Where a file lies; `undefined` where there is none. Links are followed. */
  find(path: ByteString): FilePart | undefined {
    let at = path;
    for (let hops = 0; hops <= HOPS_MAX; hops++) {
      const member = this.#members.get(at);
      if (member === undefined) return undefined;
      if (member.kind === "file") return { fd: this.#fd, offset: member.offset, size: member.size };
      at = member.target;
    }
    throw corruptArchive(this.#name, `"${displayText(path)}" is a link without an end`);
  }

  #read(): void {
    const reader = new TarReader({ limits: { entries: ENTRIES_MAX, rawSize: RAW_SIZE_MAX } });
    const buffer = new Uint8Array(READ_SIZE);
    let bufferAt = 0;
    let filled = 0;
    for (let at = 0; at < this.#size;) {
      if (at < bufferAt || at >= bufferAt + filled) {
        bufferAt = at;
        filled = preadFully(this.#fd, buffer, at);
        if (filled === 0) throw corruptArchive(this.#name, "it became shorter");
      }
      // A block at a time: content is skipped where it begins.
      const start = at - bufferAt;
      const block = buffer.subarray(
        start,
        Math.min(filled, start + TAR_BLOCKSIZE - (at % TAR_BLOCKSIZE)),
      );
      at += block.length;
      for (const event of reader.push(block)) at += this.#take(event, at, reader);
      if (at > this.#size) throw corruptArchive(this.#name, "it is cut inside of a file");
    }
    for (const event of reader.finish()) this.#take(event, this.#size, reader);
  }

  /** Returns how many bytes of content are passed over. */
  #take(event: TarEvent, contentAt: number, reader: TarReader): number {
    if (event.kind !== "entry") return 0;
    const { entry } = event;
    if (entry.kind !== "directory") this.#add(entry, contentAt);
    if (entry.storedSize === 0) return 0;
    reader.skipContent();
    return entry.storedSize;
  }

  #add(entry: TarEntry, contentAt: number): void {
    const path = this.#normalise("" as ByteString, entry.path);
    if (this.#members.has(path)) {
      throw corruptArchive(this.#name, `"${displayText(path)}" is in it twice`);
    }
    this.#members.set(path, this.#member(entry, path, contentAt));
  }

  #member(entry: TarEntry, path: ByteString, contentAt: number): Member {
    const { kind, linkPath } = entry;
    if (kind === "file" && entry.segments === undefined) {
      return { kind: "file", offset: contentAt, size: entry.size };
    }
    if (kind === "hardlink") {
      return { kind: "link", target: this.#normalise("" as ByteString, linkPath) };
    }
    if (kind === "symlink") {
      const directory = path.slice(0, path.lastIndexOf("/") + 1) as ByteString;
      return { kind: "link", target: this.#normalise(directory, linkPath) };
    }
    const what = kind === "file" ? "sparse file" : kind;
    throw corruptArchive(this.#name, `"${displayText(path)}" is a ${what}`);
  }

  /** The path from the top of the archive, without `.`, `..` and double slashes. */
  #normalise(directory: ByteString, path: ByteString): ByteString {
    const parts: string[] = [];
    for (const part of `${directory}${path}`.split("/")) {
      if (part === "" || part === ".") continue;
      if (part !== "..") parts.push(part);
      else if (parts.pop() === undefined) throw this.#leadsOut(path);
    }
    if (path.startsWith("/") || parts.length === 0) throw this.#leadsOut(path);
    return parts.join("/") as ByteString;
  }

  #leadsOut(path: ByteString): Error {
    return corruptArchive(this.#name, `"${displayText(path)}" leads out of it`);
  }
}
