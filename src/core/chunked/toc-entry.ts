/**
 * One entry of a TOC: what the archive says about a path, and where in the blob its content lies.
 *
 * A file in several pieces is an entry of type `reg` and then one of type `chunk` for each further piece.
 */

import { parseBase64 } from "../bytes/base64.ts";
import { byteString, compareByteStrings, displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { TarEntryKind } from "../tar/entry.ts";
import type { Timestamp, Xattrs } from "../tree/node.ts";
import { corruptChunked } from "./format.ts";
import { sha256Of } from "./positions.ts";
import { parseRfc3339 } from "./rfc3339.ts";

/** Types of entries, as the TOC spells them; `chunk` is put into the entry that it belongs to. */
const TOC_TYPES = ["reg", "hardlink", "symlink", "dir", "char", "block", "fifo"] as const;
/** One of them. */
export type TocType = (typeof TOC_TYPES)[number];

/** The type of each kind of entry of an archive. */
export const TOC_TYPE_OF_KIND: Readonly<Record<TarEntryKind, TocType>> = {
  file: "reg",
  hardlink: "hardlink",
  symlink: "symlink",
  directory: "dir",
  chardev: "char",
  blockdev: "block",
  fifo: "fifo",
};

/** A piece of a file. */
export interface TocChunk {
  /** Zeros need not be fetched, although they lie in the blob as well. */
  readonly kind: "data" | "zeros";
  /** Where it belongs in the file, and its bytes there. */
  readonly fileOffset: number;
  readonly size: number;
  /** Where it lies in the blob, as whole zstd frames. */
  readonly offset: number;
  readonly end: number;
  /** sha256 of the piece, in hexadecimal; of a piece that is a whole file it is the file's. */
  readonly sha256: string;
}

/** One entry. Names, owners and modes repeat the archive's. */
export interface TocEntry {
  readonly type: TocType;
  readonly name: ByteString;
  readonly linkName: ByteString;
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly modTime: Timestamp | undefined;
  readonly accessTime: Timestamp | undefined;
  readonly changeTime: Timestamp | undefined;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: Xattrs;
  /** sha256 of the content, in hexadecimal; of a file without content, and of what is none, empty. */
  readonly sha256: string;
  /** In order and without gaps; none for a file without content. */
  readonly chunks: readonly TocChunk[];
}

/** An entry whose chunks are still to come. */
export interface OpenTocEntry {
  readonly entry: Omit<TocEntry, "chunks"> & { chunks: readonly TocChunk[] };
  readonly endOffset: number;
  /** Pieces as they come: where each ends is known when the next one is there. */
  readonly pieces: Piece[];
}

interface Piece {
  readonly kind: "data" | "zeros";
  readonly fileOffset: number;
  /** 0 for what is left of the file. */
  readonly size: number;
  readonly offset: number;
  readonly sha256: string;
}

/** Shared by the many entries that have none. */
const NO_XATTRS: Xattrs = new Map();
const NO_CHUNKS: readonly TocChunk[] = [];
const NO_PIECES: Piece[] = [];
const UINT32_MAX = 0xffffffff;

/** Reads an entry that is no `chunk`. Throws `corrupt-chunked`. */
export function openTocEntry(json: Fields): OpenTocEntry {
  const name = json.text("name");
  const type = TOC_TYPES.find((known) => known === json.text("type"));
  if (name === "") throw json.wrong("an entry without a name");
  if (type === undefined) throw json.wrong(`an entry of type "${displayText(json.text("type"))}"`);
  const size = json.number("size");
  if (type !== "reg" && size !== 0) throw json.wrong("it is no file and has a size");
  const hasContent = size > 0;
  const entry = {
    type,
    name,
    linkName: json.text("linkName"),
    mode: json.number("mode"),
    size,
    uid: json.number("uid", UINT32_MAX),
    gid: json.number("gid", UINT32_MAX),
    modTime: json.time("modtime"),
    accessTime: json.time("accesstime"),
    changeTime: json.time("changetime"),
    devMajor: json.number("devMajor"),
    devMinor: json.number("devMinor"),
    xattrs: json.xattrs("xattrs"),
    sha256: hasContent ? json.sha256("digest") : "",
    chunks: NO_CHUNKS,
  };
  return {
    entry,
    endOffset: json.number("endOffset"),
    pieces: hasContent ? [pieceOf(json)] : NO_PIECES,
  };
}

/** Adds a further piece to the entry that is open. Throws `corrupt-chunked`. */
export function addTocChunk({ entry, pieces }: OpenTocEntry, json: Fields): void {
  if (json.text("name") !== entry.name || pieces.length === 0) {
    throw json.wrong("a chunk that does not belong to the file before it");
  }
  pieces.push(pieceOf(json));
}

function pieceOf(json: Fields): Piece {
  const type = json.text("chunkType");
  if (type !== "" && type !== "zeros") throw json.wrong(`a chunk of type "${displayText(type)}"`);
  return {
    kind: type === "" ? "data" : "zeros",
    fileOffset: json.number("chunkOffset"),
    size: json.number("chunkSize"),
    offset: json.number("offset"),
    sha256: json.has("chunkDigest") ? json.sha256("chunkDigest") : "",
  };
}

/**
 * Closes an entry: its pieces must make up the file, and lie in the blob one behind the other, the first
 * one at `earliest` or later. Returns the entry; throws `corrupt-chunked`.
 */
export function closeTocEntry(open: OpenTocEntry, earliest: number, dataEnd: number): TocEntry {
  const { entry, pieces, endOffset } = open;
  if (pieces.length === 0) return entry;
  const chunks: TocChunk[] = [];
  const wrong = (reason: string): Error => wrongEntry(entry.name, reason);
  const isWhole = pieces.length === 1;
  let from = earliest;
  let fileOffset = 0;
  pieces.forEach((piece, index) => {
    const end = pieces[index + 1]?.offset ?? endOffset;
    const left = entry.size - fileOffset;
    const isLast = index === pieces.length - 1;
    const size = piece.size === 0 && isLast ? left : piece.size;
    if (piece.fileOffset !== fileOffset || size < 1 || size > left || (isLast && size !== left)) {
      throw wrong("its chunks do not make up the file");
    }
    if (piece.offset < from || end < piece.offset || end > dataEnd) {
      throw wrong(`bytes ${piece.offset} to ${end} overlap others, or lie outside of the data`);
    }
    if (piece.kind === "data" && end === piece.offset) throw wrong("a chunk without bytes");
    if (!isWhole && piece.sha256 === "" && piece.kind === "data") {
      throw wrong("a chunk without a digest");
    }
    const sha256 = isWhole ? entry.sha256 : piece.sha256;
    chunks.push({ kind: piece.kind, fileOffset, size, offset: piece.offset, end, sha256 });
    from = end;
    fileOffset += size;
  });
  entry.chunks = chunks;
  return entry;
}

/** The fields of one entry, and what is wrong with them. */
export class Fields {
  readonly #json: Readonly<Record<string, unknown>>;

  constructor(json: unknown) {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw corruptChunked("an entry of its TOC is no object");
    }
    this.#json = json as Readonly<Record<string, unknown>>;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#json, key) && this.#json[key] !== null;
  }

  text(key: string): ByteString {
    return byteString(this.#text(key));
  }

  number(key: string, max: number = Number.MAX_SAFE_INTEGER): number {
    if (!this.has(key)) return 0;
    const value = this.#json[key];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
      throw this.wrong(`"${key}" is no number from 0 to ${max}`);
    }
    return value;
  }

  time(key: string): Timestamp | undefined {
    if (!this.has(key)) return undefined;
    const time = parseRfc3339(this.#text(key));
    if (time === undefined) throw this.wrong(`"${key}" is no time`);
    return time;
  }

  sha256(key: string): string {
    return sha256Of(this.#text(key), `"${key}" of "${this.#shownName()}"`);
  }

  xattrs(key: string): Xattrs {
    if (!this.has(key)) return NO_XATTRS;
    const value = this.#json[key];
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.wrong(`"${key}" is no object`);
    }
    const found: [ByteString, Uint8Array][] = Object.entries(value).map(([name, encoded]) => {
      const bytes = typeof encoded === "string" ? parseBase64(encoded) : undefined;
      if (bytes === undefined) throw this.wrong("the value of an xattr is not base64");
      return [byteString(name), bytes];
    });
    if (found.length === 0) return NO_XATTRS;
    return new Map(found.sort((a, b) => compareByteStrings(a[0], b[0])));
  }

  wrong(reason: string): Error {
    return corruptChunked(`its TOC, "${this.#shownName()}": ${reason}`);
  }

  #text(key: string): string {
    if (!this.has(key)) return "";
    const value = this.#json[key];
    if (typeof value !== "string") throw this.wrong(`"${key}" is no string`);
    return value;
  }

  #shownName(): string {
    const { name } = this.#json;
    return typeof name === "string" ? shown(byteString(name)) : "";
  }
}

/** The error of one entry. */
export function wrongEntry(name: ByteString, reason: string): Error {
  return corruptChunked(`its TOC, "${shown(name)}": ${reason}`);
}

function shown(name: ByteString): string {
  return displayText(name.slice(0, 200) as ByteString);
}
