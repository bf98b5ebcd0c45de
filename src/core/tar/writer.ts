/**
 * Writes the headers of tar entries: ustar, with a PAX header in front of what ustar cannot hold.
 *
 * The caller writes the content behind the header, `tarPadding(size)` zeros behind that, and
 * `TAR_END` at the end. Same entry, same bytes: nothing of the machine or the time goes in.
 */

import { EMPTY, byteString, byteStringFrom, writeByteString } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { TarEntry, TarEntryKind } from "./entry.ts";
import { TAR_BLOCKSIZE, TAR_HEADER, TYPEFLAG, tarPadding } from "./format.ts";
import type { FieldPlace } from "./format.ts";
import { sumHeader } from "./header.ts";
import { encodeOctal } from "./number.ts";
import { formatPaxRecord, formatPaxTime } from "./pax.ts";
import { LIBARCHIVE_XATTR, SCHILY_XATTR, encodeBase64, encodeXattrName } from "./xattr.ts";

/** What the writer needs to know of an entry. A sparse file is written whole. */
export type TarHeaderInput = Omit<TarEntry, "storedSize" | "segments">;

/** The two blocks of zeros behind the last entry. */
export const TAR_END: Uint8Array = new Uint8Array(2 * TAR_BLOCKSIZE);

const TYPEFLAG_OF: Readonly<Record<TarEntryKind, string>> = {
  file: TYPEFLAG.REGTYPE,
  hardlink: TYPEFLAG.LNKTYPE,
  symlink: TYPEFLAG.SYMTYPE,
  chardev: TYPEFLAG.CHRTYPE,
  blockdev: TYPEFLAG.BLKTYPE,
  directory: TYPEFLAG.DIRTYPE,
  fifo: TYPEFLAG.FIFOTYPE,
};

/** Name of all PAX headers; readers that know PAX never look at it. */
const PAX_NAME = byteString("././@PaxHeader");

/**
 * Returns the header blocks of an entry. Device numbers are at most 2^21 - 1; all else that a
 * `TarEntry` may hold fits. Throws a `RangeError` for a device number that does not.
 */
export function encodeTarHeader(entry: TarHeaderInput): Uint8Array {
  const records: Uint8Array[] = [];
  const block = encodeBlock(entry, records);
  if (records.length === 0) return block;
  const size = records.reduce((sum, record) => sum + record.length, 0);
  const paxBlock = encodeBlock(paxEntry(size), [], TYPEFLAG.XHDTYPE);
  const bytes = new Uint8Array(2 * TAR_BLOCKSIZE + size + tarPadding(size));
  bytes.set(paxBlock);
  let at = TAR_BLOCKSIZE;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  bytes.set(block, bytes.length - TAR_BLOCKSIZE);
  return bytes;
}

function paxEntry(size: number): TarHeaderInput {
  const mtime = { sec: 0n, nsec: 0 };
  const plain = { uid: 0, gid: 0, uname: EMPTY, gname: EMPTY, major: 0, minor: 0, mtime };
  return {
    ...plain,
    kind: "file",
    path: PAX_NAME,
    linkPath: EMPTY,
    mode: 0o644,
    size,
    xattrs: new Map(),
  };
}

/** Fills a header block; what does not fit goes to `records`. */
function encodeBlock(
  entry: TarHeaderInput,
  records: Uint8Array[],
  typeflag: string = TYPEFLAG_OF[entry.kind],
): Uint8Array {
  const block = new Uint8Array(TAR_BLOCKSIZE);
  const text = (field: FieldPlace, value: ByteString, key: string): void => {
    if (value.length > field.length) records.push(formatPaxRecord(byteString(key), value));
    writeByteString(value.slice(0, field.length) as ByteString, block, field.at);
  };
  const number = (field: FieldPlace, value: number, key: string): void => {
    if (encodeOctal(block, field, value)) return;
    records.push(formatPaxRecord(byteString(key), byteString(String(value))));
    encodeOctal(block, field, 0);
  };
  const { path } = entry;
  const slash = prefixEnd(path);
  if (slash > 0) {
    writeByteString(path.slice(0, slash) as ByteString, block, TAR_HEADER.prefix.at);
    writeByteString(path.slice(slash + 1) as ByteString, block, TAR_HEADER.name.at);
  } else {
    text(TAR_HEADER.name, path, "path");
  }
  text(TAR_HEADER.linkname, entry.linkPath, "linkpath");
  encodeOctal(block, TAR_HEADER.mode, entry.mode);
  number(TAR_HEADER.uid, entry.uid, "uid");
  number(TAR_HEADER.gid, entry.gid, "gid");
  number(TAR_HEADER.size, entry.size, "size");
  encodeTime(block, entry, records);
  text(TAR_HEADER.uname, entry.uname, "uname");
  text(TAR_HEADER.gname, entry.gname, "gname");
  const devmajorFits = encodeOctal(block, TAR_HEADER.devmajor, entry.major);
  const devminorFits = encodeOctal(block, TAR_HEADER.devminor, entry.minor);
  if (!devmajorFits || !devminorFits) {
    throw new RangeError(`device number ${entry.major}:${entry.minor} does not fit a tar header`);
  }
  writeByteString(byteString("ustar\x0000"), block, TAR_HEADER.magic.at);
  writeByteString(byteString(typeflag), block, TAR_HEADER.typeflag.at);
  for (const [name, value] of entry.xattrs) records.push(formatXattr(name, value));
  encodeOctal(block, { at: TAR_HEADER.chksum.at, length: 7 }, sumHeader(block).unsigned);
  block[TAR_HEADER.chksum.at + 7] = 0x20;
  return block;
}

function encodeTime(block: Uint8Array, { mtime }: TarHeaderInput, records: Uint8Array[]): void {
  const fits = encodeOctal(block, TAR_HEADER.mtime, Number(mtime.sec));
  if (!fits) encodeOctal(block, TAR_HEADER.mtime, 0);
  if (!fits || mtime.nsec !== 0) {
    records.push(formatPaxRecord(byteString("mtime"), formatPaxTime(mtime)));
  }
}

/** The key of a record ends at its first `=`: a name that holds one is written encoded. */
function formatXattr(name: ByteString, value: Uint8Array): Uint8Array {
  return name.includes("=")
    ? formatPaxRecord((LIBARCHIVE_XATTR + encodeXattrName(name)) as ByteString, encodeBase64(value))
    : formatPaxRecord((SCHILY_XATTR + name) as ByteString, byteStringFrom(value));
}

/** Where a path too long for `name` can be cut: the slash becomes the end of `prefix`. 0 for nowhere. */
function prefixEnd(path: ByteString): number {
  if (path.length <= TAR_HEADER.name.length) return 0;
  const slash = path.lastIndexOf("/", TAR_HEADER.prefix.length);
  const rest = path.length - slash - 1;
  return slash > 0 && rest > 0 && rest <= TAR_HEADER.name.length ? slash : 0;
}
