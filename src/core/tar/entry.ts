/**
 * An entry as the archive means it: header block, PAX records and GNU long names put together.
 *
 * What wins, from the strongest: the entry's own PAX records, PAX records for the whole archive, GNU
 * long names, the header block. An empty PAX value takes the record back.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { byteStringFrom, compareByteStrings, displayText } from "../bytes/byte-string.ts";
import { XATTR_NAME_MAX } from "../erofs/format.ts";
import type { Timestamp, Xattrs } from "../tree/node.ts";
import { TYPEFLAG } from "./format.ts";
import type { Refuse, TarHeader, Trouble } from "./header.ts";
import type { TarLimits } from "./limits.ts";
import { parsePaxNumber, parsePaxTime } from "./pax.ts";
import type { PaxRecord } from "./pax.ts";
import type { SparseSegment } from "./sparse.ts";
import { LIBARCHIVE_XATTR, SCHILY_XATTR, decodeBase64, decodeXattrName } from "./xattr.ts";

/** What an entry makes. */
export type TarEntryKind =
  | "file"
  | "hardlink"
  | "symlink"
  | "chardev"
  | "blockdev"
  | "directory"
  | "fifo";

/** One entry of an archive. */
export interface TarEntry {
  readonly kind: TarEntryKind;
  /** As it stands in the archive: with `./`, slashes at the end, `..` and all. 1 byte or more, no NUL. */
  readonly path: ByteString;
  /** Target of a symlink, or path of a hard link's other name, as it stands; else empty. */
  readonly linkPath: ByteString;
  /** Permission, set-id and sticky bits. */
  readonly mode: number;
  /** 0 to 2^32 - 1, and so is `gid`. */
  readonly uid: number;
  readonly gid: number;
  /** Names of owner and group; often empty. */
  readonly uname: ByteString;
  readonly gname: ByteString;
  readonly mtime: Timestamp;
  /** Bytes of the file, holes included; 0 for what is no file. */
  readonly size: number;
  /** Bytes of content in the archive: less than `size` for a sparse file. */
  readonly storedSize: number;
  /** What of a sparse file is in the archive, in order; `undefined` for every other entry. */
  readonly segments: readonly SparseSegment[] | undefined;
  /** Device numbers as they stand; 0 for what is no device. */
  readonly major: number;
  readonly minor: number;
  /** In byte order of their names. The values are the entry's own. */
  readonly xattrs: Xattrs;
}

/** What stands in front of a header block and belongs to its entry. */
export interface EntryExtensions {
  readonly globalRecords: readonly PaxRecord[];
  readonly records: readonly PaxRecord[] | undefined;
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
}

const UINT32_MAX = 0xffffffff;
const NO_XATTRS: Xattrs = new Map();

const KINDS: Readonly<Record<string, TarEntryKind>> = {
  [TYPEFLAG.AREGTYPE]: "file",
  [TYPEFLAG.REGTYPE]: "file",
  [TYPEFLAG.CONTTYPE]: "file",
  [TYPEFLAG.GNUTYPE_SPARSE]: "file",
  [TYPEFLAG.LNKTYPE]: "hardlink",
  [TYPEFLAG.SYMTYPE]: "symlink",
  [TYPEFLAG.CHRTYPE]: "chardev",
  [TYPEFLAG.BLKTYPE]: "blockdev",
  [TYPEFLAG.DIRTYPE]: "directory",
  [TYPEFLAG.FIFOTYPE]: "fifo",
};

/** Puts an entry together. For a sparse file the size is still that in the archive. */
export function assembleEntry(
  header: TarHeader,
  extensions: EntryExtensions,
  limits: TarLimits,
  trouble: Trouble,
): TarEntry {
  const pax = new Overrides(extensions, trouble.corrupt);
  const path =
    pax.text("GNU.sparse.name") ?? pax.text("path") ?? extensions.longName ?? header.name;
  const linkPath = pax.text("linkpath") ?? extensions.longLink ?? header.linkname;
  checkPath(path, limits, trouble);
  const kind = kindOf(header, path, trouble);
  const isLink = kind === "symlink" || kind === "hardlink";
  if (isLink) checkPath(linkPath, limits, trouble);
  const storedSize = pax.number("size") ?? header.size;
  if (storedSize < 0) throw trouble.corrupt("size is negative");
  if (kind !== "file" && storedSize > 0) {
    // Half of the readers would skip content here, the other half take it for headers.
    throw trouble.corrupt(`"${displayText(path)}" is no file and has content`);
  }
  return {
    kind,
    path,
    linkPath: isLink ? linkPath : ("" as ByteString),
    mode: header.mode & 0o7777,
    uid: owner(pax.number("uid") ?? header.uid, "uid", trouble),
    gid: owner(pax.number("gid") ?? header.gid, "gid", trouble),
    uname: pax.text("uname") ?? header.uname,
    gname: pax.text("gname") ?? header.gname,
    mtime: pax.time("mtime") ?? { sec: BigInt(header.mtime), nsec: 0 },
    size: storedSize,
    storedSize,
    segments: undefined,
    major: header.devmajor,
    minor: header.devminor,
    xattrs: readXattrs(extensions, limits, trouble),
  };
}

function kindOf(header: TarHeader, path: ByteString, trouble: Trouble): TarEntryKind {
  const kind = KINDS[header.typeflag];
  if (kind === undefined) {
    const shown = displayText(header.typeflag as ByteString);
    throw trouble.unsupported(`entry "${displayText(path)}" of type "${shown}"`);
  }
  const isOldDirectory = header.typeflag === TYPEFLAG.AREGTYPE && path.endsWith("/");
  return isOldDirectory ? "directory" : kind;
}

function checkPath(path: ByteString, limits: TarLimits, trouble: Trouble): void {
  if (path.length === 0) throw trouble.corrupt("entry without a name, or link without a target");
  if (path.includes("\0")) throw trouble.corrupt("NUL byte in a name");
  if (path.length > limits.pathLength) {
    throw trouble.overLimit(`a name has more than ${limits.pathLength} bytes`);
  }
}

function owner(id: number, what: string, trouble: Trouble): number {
  if (id < 0 || id > UINT32_MAX) throw trouble.corrupt(`${what} ${id} is out of range`);
  return id;
}

/** The last record of each key, and their readings. */
class Overrides {
  readonly #values = new Map<string, Uint8Array>();
  readonly #refuse: Refuse;

  constructor({ globalRecords, records }: EntryExtensions, refuse: Refuse) {
    this.#refuse = refuse;
    for (const { key, value } of globalRecords) this.#values.set(key, value);
    for (const { key, value } of records ?? []) this.#values.set(key, value);
  }

  #value(key: string): Uint8Array | undefined {
    const value = this.#values.get(key);
    return value === undefined || value.length === 0 ? undefined : value;
  }

  text(key: string): ByteString | undefined {
    const value = this.#value(key);
    return value === undefined ? undefined : byteStringFrom(value);
  }

  number(key: string): number | undefined {
    const value = this.#value(key);
    if (value === undefined) return undefined;
    const number = parsePaxNumber(value);
    if (number === undefined) throw this.#refuse(`PAX record "${key}" is not a number`);
    return number;
  }

  time(key: string): Timestamp | undefined {
    const value = this.#value(key);
    if (value === undefined) return undefined;
    const time = parsePaxTime(value);
    if (time === undefined) throw this.#refuse(`PAX record "${key}" is not a time`);
    return time;
  }
}

function readXattrs(extensions: EntryExtensions, limits: TarLimits, trouble: Trouble): Xattrs {
  const { globalRecords, records } = extensions;
  if (globalRecords.length === 0 && records === undefined) return NO_XATTRS;
  const found = new Map<ByteString, Uint8Array>();
  const all = [...globalRecords, ...(records ?? [])];
  for (const { key, value } of all) {
    if (!key.startsWith(LIBARCHIVE_XATTR)) continue;
    const name = decodeXattrName(key.slice(LIBARCHIVE_XATTR.length) as ByteString);
    found.set(name, decodeBase64(value, trouble.corrupt));
  }
  for (const { key, value } of all) {
    if (!key.startsWith(SCHILY_XATTR)) continue;
    // A copy: the value must not keep the whole extension in memory.
    found.set(key.slice(SCHILY_XATTR.length) as ByteString, value.slice());
  }
  if (found.size === 0) return NO_XATTRS;
  let total = 0;
  for (const [name, value] of found) {
    if (name.length === 0 || name.includes("\0")) {
      throw trouble.corrupt("xattr name is empty or holds a NUL byte");
    }
    if (name.length > XATTR_NAME_MAX) {
      throw trouble.overLimit(`an xattr name has more than ${XATTR_NAME_MAX} bytes`);
    }
    total += name.length + value.length;
  }
  if (total > limits.xattrSize) {
    throw trouble.overLimit(`the xattrs of an entry have more than ${limits.xattrSize} bytes`);
  }
  return new Map([...found].sort((a, b) => compareByteStrings(a[0], b[0])));
}

/** PAX records that decide where content ends: for the whole archive they can only be an attack. */
const LOCAL_KEYS = /^(?:path|linkpath|size|GNU\.sparse\..*)$/;

/** Adds the records of a header of type `g` to those before it; the later of one key counts. */
export function mergeGlobalRecords(
  known: readonly PaxRecord[],
  added: readonly PaxRecord[],
  limits: TarLimits,
  trouble: Trouble,
): PaxRecord[] {
  for (const { key } of added) {
    if (LOCAL_KEYS.test(key)) throw trouble.corrupt(`PAX record "${key}" for the whole archive`);
  }
  const merged = new Map([...known, ...added].map((record) => [record.key, record]));
  let size = 0;
  for (const { key, value } of merged.values()) size += key.length + value.length;
  if (size > limits.extensionSize) {
    throw trouble.overLimit(
      `PAX records for the whole archive of more than ${limits.extensionSize} bytes`,
    );
  }
  return [...merged.values()];
}
