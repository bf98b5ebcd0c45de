/**
 * Tar archives byte by byte, for what no tool would write, and a way to read one whole.
 *
 * Made without the writer of `core/tar`, which has tests of its own.
 */

import { TarReader } from "#src/core/mod.ts";
import type { TarEntry, TarEvent, TarReaderOptions } from "#src/core/mod.ts";

/** Fields of a header; strings are one byte a code unit. A number goes in as octal. */
export interface HeaderFields {
  readonly name?: string;
  readonly mode?: number | string;
  readonly uid?: number | string;
  readonly gid?: number | string;
  readonly size?: number | string;
  readonly mtime?: number | string;
  readonly typeflag?: string;
  readonly linkname?: string;
  readonly magic?: string;
  readonly uname?: string;
  readonly gname?: string;
  readonly devmajor?: number | string;
  readonly devminor?: number | string;
  readonly prefix?: string;
  /** Bytes put at 345, over `prefix`. */
  readonly tail?: Uint8Array;
  /** Instead of the right one. */
  readonly chksum?: string;
}

/** One header block. */
export function header(fields: HeaderFields = {}): Buffer {
  const block = Buffer.alloc(512);
  const put = (at: number, length: number, value: number | string): void => {
    const text =
      typeof value === "number" ? `${value.toString(8).padStart(length - 1, "0")}\0` : value;
    if (text.length > length) throw new Error(`"${text}" does not fit ${length} bytes`);
    block.write(text, at, "latin1");
  };
  put(0, 100, fields.name ?? "file");
  put(100, 8, fields.mode ?? 0o644);
  put(108, 8, fields.uid ?? 0);
  put(116, 8, fields.gid ?? 0);
  put(124, 12, fields.size ?? 0);
  put(136, 12, fields.mtime ?? 0);
  put(156, 1, fields.typeflag ?? "0");
  put(157, 100, fields.linkname ?? "");
  put(257, 8, fields.magic ?? "ustar\x0000");
  put(265, 32, fields.uname ?? "");
  put(297, 32, fields.gname ?? "");
  put(329, 8, fields.devmajor ?? 0);
  put(337, 8, fields.devminor ?? 0);
  put(345, 155, fields.prefix ?? "");
  if (fields.tail !== undefined) block.set(fields.tail, 345);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(fields.chksum ?? `${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** Content and its padding. */
export function padded(content: Uint8Array | string): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A header and its content. */
export function member(fields: HeaderFields, content: Uint8Array | string = ""): Buffer {
  return Buffer.concat([header({ size: content.length, ...fields }), padded(content)]);
}

/** A PAX header of type `x` or `g`; values are one byte a code unit. */
export function pax(records: readonly (readonly [string, string])[], typeflag = "x"): Buffer {
  return member({ name: "pax", typeflag }, records.map(paxRecord).join(""));
}

/** One PAX record. */
export function paxRecord([key, value]: readonly [string, string]): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return length + rest;
}

/** Members, and the two blocks of zeros. */
export function archive(...members: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...members, Buffer.alloc(1024)]);
}

/** Above this a size is a claim, and nothing is kept of the content. */
const KEPT_SIZE = 1 << 26;

/** An entry with its content: for a sparse file with the holes filled. */
export interface ReadEntry extends TarEntry {
  readonly content: Buffer;
}

/** What came out of an archive. */
export interface ReadArchive {
  readonly entries: readonly ReadEntry[];
  /** All events joined again: the archive itself. */
  readonly replay: Buffer;
}

/** Reads a whole archive, pushed in chunks of `chunkSize` bytes. */
export function readArchive(
  bytes: Uint8Array,
  options: TarReaderOptions = {},
  chunkSize = 1 << 20,
): ReadArchive {
  const reader = new TarReader(options);
  const entries: ReadEntry[] = [];
  const replay: Buffer[] = [];
  let open: { entry: TarEntry; content: Buffer } | undefined;
  const take = (event: TarEvent): void => {
    switch (event.kind) {
      case "raw":
        replay.push(Buffer.from(event.bytes));
        return;
      case "entry":
        open = { entry: event.entry, content: emptyFile(event.entry) };
        return;
      case "data":
        replay.push(Buffer.from(event.bytes));
        if (open!.content.length > 0) open!.content.set(event.bytes, event.offset);
        return;
      case "end-of-entry":
        entries.push({ ...open!.entry, content: open!.content });
        open = undefined;
    }
  };
  for (let at = 0; at < bytes.length; at += chunkSize) {
    // In a buffer that is overwritten afterwards: nothing may be kept of a chunk.
    const chunk = Uint8Array.prototype.slice.call(bytes, at, at + chunkSize);
    for (const event of reader.push(chunk)) take(event);
    chunk.fill(0xee);
  }
  for (const event of reader.finish()) take(event);
  return { entries, replay: Buffer.concat(replay) };
}

function emptyFile({ size }: TarEntry): Buffer {
  return Buffer.alloc(size > KEPT_SIZE ? 0 : size);
}
