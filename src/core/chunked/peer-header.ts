/**
 * An entry as Go's tar reader sees it. Clients of containers/storage refuse a layer whose TOC says anything
 * else than their reader finds in the headers, down to times that no tree keeps; and what their reader makes
 * of unusual headers is not what others make of them. Such entries are not put into a TOC.
 *
 * Source: vbatts/tar-split, archive/tar/reader.go; containers/storage, pkg/chunked/internal/minimal.
 */

import { byteStringFrom, bytesOf, compareByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { decodeUtf8 } from "../bytes/utf8.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TAR_BLOCKSIZE, TAR_HEADER, TYPEFLAG, tarPadding } from "../tar/format.ts";
import type { FieldPlace } from "../tar/format.ts";
import { decodeHeader, untilNul } from "../tar/header.ts";
import { decodeNumber } from "../tar/number.ts";
import { parsePaxRecords, parsePaxTime } from "../tar/pax.ts";
import { SCHILY_XATTR } from "../tar/xattr.ts";
import type { Timestamp, Xattrs } from "../tree/node.ts";
import { formatRfc3339 } from "./rfc3339.ts";
import { TOC_TYPE_OF_KIND } from "./toc-entry.ts";
import type { TocEntry } from "./toc-entry.ts";

/** What of a TOC entry comes from the headers. */
export type PeerHeader = Omit<TocEntry, "sha256" | "chunks">;

/** Fields of a GNU header in the place of `prefix`. */
const GNU_ATIME: FieldPlace = { at: 345, length: 12 };
const GNU_CTIME: FieldPlace = { at: 357, length: 12 };
/** Of star: "tar" and a NUL at the end of a header of ustar. */
const STAR_TRAILER: FieldPlace = { at: 508, length: 4 };

const USUAL_TYPEFLAGS: ReadonlySet<string> = new Set([
  TYPEFLAG.AREGTYPE,
  TYPEFLAG.REGTYPE,
  TYPEFLAG.LNKTYPE,
  TYPEFLAG.SYMTYPE,
  TYPEFLAG.CHRTYPE,
  TYPEFLAG.BLKTYPE,
  TYPEFLAG.DIRTYPE,
  TYPEFLAG.FIFOTYPE,
]);

/** An entry that cannot be in a TOC, and why. */
export class UnusualEntry extends Error {}

/**
 * Reads the headers of one entry: all blocks from the first extension up to the entry's own, which the tar
 * reader has read before. Throws {@link UnusualEntry}.
 */
export function readPeerHeader(blocks: Uint8Array, entry: TarEntry): PeerHeader {
  if (entry.segments !== undefined) throw new UnusualEntry("it is a sparse file");
  const { block, dialect, linkName, pax } = takeApart(blocks);
  const isV7 = dialect === "v7";
  const header: PeerHeader = {
    type: TOC_TYPE_OF_KIND[entry.kind],
    name: utf8(entry.path),
    linkName: utf8(linkName),
    mode: number(block, TAR_HEADER.mode),
    size: entry.size,
    uid: entry.uid,
    gid: entry.gid,
    modTime: usualTime(entry.mtime),
    accessTime: time(pax, "atime") ?? (dialect === "gnu" ? gnuTime(block, GNU_ATIME) : undefined),
    changeTime: time(pax, "ctime") ?? (dialect === "gnu" ? gnuTime(block, GNU_CTIME) : undefined),
    devMajor: isV7 ? 0 : number(block, TAR_HEADER.devmajor),
    devMinor: isV7 ? 0 : number(block, TAR_HEADER.devminor),
    xattrs: xattrsOf(pax),
  };
  return header;
}

type PaxValues = ReadonlyMap<string, Uint8Array>;

interface Headers {
  /** The entry's own header block. */
  readonly block: Uint8Array;
  readonly dialect: "v7" | "ustar" | "gnu";
  readonly linkName: ByteString;
  readonly pax: PaxValues;
}

function takeApart(blocks: Uint8Array): Headers {
  const pax = new Map<string, Uint8Array>();
  let hasLongName = false;
  let longLink: ByteString | undefined;
  for (let at = 0; ;) {
    const block = blocks.subarray(at, at + TAR_BLOCKSIZE);
    const { typeflag, size, dialect, linkname } = decodeHeader(block, unusual);
    const contentAt = at + TAR_BLOCKSIZE;
    const content = blocks.subarray(contentAt, contentAt + size);
    if (typeflag === TYPEFLAG.XHDTYPE) {
      for (const { key, value } of parsePaxRecords(content, unusual)) pax.set(key, value);
    } else if (typeflag === TYPEFLAG.GNUTYPE_LONGNAME) {
      hasLongName = true;
    } else if (typeflag === TYPEFLAG.GNUTYPE_LONGLINK) {
      longLink = untilNul(content);
    } else if (typeflag === TYPEFLAG.XGLTYPE) {
      throw new UnusualEntry("a PAX header for the whole archive precedes it");
    } else {
      if (!USUAL_TYPEFLAGS.has(typeflag)) throw new UnusualEntry("it is of an unusual type");
      const trailer = block.subarray(STAR_TRAILER.at, STAR_TRAILER.at + STAR_TRAILER.length);
      if (byteStringFrom(trailer) === "tar\0") throw new UnusualEntry("its header is that of star");
      // Readers disagree on which of the two wins.
      const paxLink = pax.get("linkpath");
      if (hasLongName && pax.has("path")) throw new UnusualEntry("it has two long names");
      if (longLink !== undefined && paxLink !== undefined) {
        throw new UnusualEntry("it has two long link targets");
      }
      const hasPaxLink = paxLink !== undefined && paxLink.length > 0;
      const linkName = longLink ?? (hasPaxLink ? byteStringFrom(paxLink) : linkname);
      return { block, dialect, linkName, pax };
    }
    at = contentAt + size + tarPadding(size);
  }
}

function unusual(reason: string): Error {
  return new UnusualEntry(reason);
}

function utf8(name: ByteString): ByteString {
  if (decodeUtf8(bytesOf(name)) === undefined) throw new UnusualEntry("a name is not UTF-8");
  return name;
}

function number(block: Uint8Array, field: FieldPlace): number {
  const value = decodeNumber(block, field);
  if (value === undefined || value < 0) throw new UnusualEntry("a number is out of range");
  return value;
}

function time(pax: PaxValues, key: string): Timestamp | undefined {
  const value = pax.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const parsed = parsePaxTime(value);
  if (parsed === undefined) throw new UnusualEntry(`its ${key} is no time`);
  return usualTime(parsed);
}

/** What old GNU tar put there, if it put anything. */
function gnuTime(block: Uint8Array, field: FieldPlace): Timestamp | undefined {
  if (block[field.at] === 0) return undefined;
  return usualTime({ sec: BigInt(number(block, field)), nsec: 0 });
}

function usualTime(value: Timestamp): Timestamp {
  if (formatRfc3339(value) === undefined) throw new UnusualEntry("a time is out of range");
  return value;
}

function xattrsOf(pax: PaxValues): Xattrs {
  const found: [ByteString, Uint8Array][] = [];
  for (const [key, value] of pax) {
    if (!key.startsWith(SCHILY_XATTR)) continue;
    found.push([utf8(key.slice(SCHILY_XATTR.length) as ByteString), value]);
  }
  return new Map(found.sort((a, b) => compareByteStrings(a[0], b[0])));
}
