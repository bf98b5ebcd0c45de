/**
 * The fields of each structure of an image, in order and without gaps, with values for people.
 *
 * Field names are the kernel's own. Nothing is refused here: what cannot be decoded is shown as
 * bytes.
 */

import { byteStringFrom, displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { formatHex } from "../bytes/hex.ts";
import type { SourceReader } from "../bytes/reader.ts";
import { digestAlgorithm } from "../fsverity/digest.ts";
import { decodeMetacopy } from "../overlay/metacopy.ts";
import { OVERLAY_XATTR_METACOPY } from "../overlay/names.ts";
import { kindOfMode } from "../tree/node.ts";
import type { DirentBlock } from "./dirent.ts";
import {
  COMPOSEFS_HEADER,
  DIRENT,
  EROFS_FT,
  EROFS_INODE_CHUNK_BASED,
  EROFS_INODE_FLAT_INLINE,
  EROFS_INODE_FLAT_PLAIN,
  EROFS_NULL_ADDR,
  EROFS_SUPER_OFFSET,
  EROFS_XATTR_PREFIXES,
  INODE_COMPACT,
  INODE_EXTENDED,
  SUPER_BLOCK,
  XATTR_ENTRY,
  XATTR_IBODY_HEADER,
} from "./format.ts";
import { xattrAreaSize } from "./inode.ts";
import { rawDirents } from "./image-map.ts";
import type { Extent } from "./image-map.ts";
import type { ErofsImage } from "./reader.ts";

/** A field of an image: plain data, fit for JSON. */
export interface ExplainedField {
  /** Bytes from the start of the image, and number of them. */
  readonly offset: number;
  readonly length: number;
  /** What it is part of: `super block`, `inode 36`, `shared xattr`, `padding`, … */
  readonly structure: string;
  /** The kernel's name of it. */
  readonly field: string;
  /** The number, or what it says to people. */
  readonly value: number | string;
  /** Of an inode and its data: the first path that leads there, fit to be shown. */
  readonly path?: string;
  /** Why the image cannot be read, on the field where that shows. */
  readonly problem?: string;
}

/** Name, offset in the structure, bytes, and how to show it: a decimal number unless told. */
type FieldSpec = readonly [name: string, at: number, length: number, show?: Show];
type Show = (reader: SourceReader, offset: number, length: number) => number | string;

const PREVIEW = 64;

const hex: Show = (reader, offset, length) => `0x${integer(reader, offset, length).toString(16)}`;
const signed: Show = (reader, offset) => reader.i64(offset).toString();
const bytes: Show = (reader, offset, length) => formatHex(reader.view(offset, length));
const text: Show = (reader, offset, length) =>
  displayText(bytesPreview(reader.view(offset, length)));
const nothing: Show = (reader, offset, length) =>
  reader.view(offset, length).every((byte) => byte === 0) ? "zeros" : bytes(reader, offset, length);

const HEADER_FIELDS: readonly FieldSpec[] = [
  ["magic", COMPOSEFS_HEADER.magic, 4, hex],
  ["version", COMPOSEFS_HEADER.version, 4],
  ["flags", COMPOSEFS_HEADER.flags, 4, hex],
  ["composefs_version", COMPOSEFS_HEADER.composefsVersion, 4],
  ["unused", 16, COMPOSEFS_HEADER.size - 16, nothing],
];

const SUPER_BLOCK_FIELDS: readonly FieldSpec[] = [
  ["magic", SUPER_BLOCK.magic, 4, hex],
  ["checksum", SUPER_BLOCK.checksum, 4, hex],
  ["feature_compat", SUPER_BLOCK.featureCompat, 4, hex],
  ["blkszbits", SUPER_BLOCK.blkszbits, 1],
  ["sb_extslots", SUPER_BLOCK.sbExtslots, 1],
  ["root_nid", SUPER_BLOCK.rootNid, 2],
  ["inos", SUPER_BLOCK.inos, 8],
  ["build_time", SUPER_BLOCK.buildTime, 8, signed],
  ["build_time_nsec", SUPER_BLOCK.buildTimeNsec, 4],
  ["blocks", SUPER_BLOCK.blocks, 4],
  ["meta_blkaddr", SUPER_BLOCK.metaBlkaddr, 4],
  ["xattr_blkaddr", SUPER_BLOCK.xattrBlkaddr, 4],
  ["uuid", SUPER_BLOCK.uuid, 16, bytes],
  ["volume_name", SUPER_BLOCK.volumeName, 16, nothing],
  ["feature_incompat", SUPER_BLOCK.featureIncompat, 4, hex],
  ["available_compr_algs", SUPER_BLOCK.union, 2, hex],
  ["extra_devices", SUPER_BLOCK.extraDevices, 2],
  ["devt_slotoff", SUPER_BLOCK.devtSlotoff, 2],
  ["dirblkbits", SUPER_BLOCK.dirblkbits, 1],
  ["xattr_prefix_count", SUPER_BLOCK.xattrPrefixCount, 1],
  ["xattr_prefix_start", SUPER_BLOCK.xattrPrefixStart, 4],
  ["packed_nid", SUPER_BLOCK.packedNid, 8],
  ["xattr_filter_reserved", SUPER_BLOCK.xattrFilterReserved, 1],
  ["reserved2", SUPER_BLOCK.reserved, SUPER_BLOCK.size - SUPER_BLOCK.reserved, nothing],
];

const COMPACT_FIELDS: readonly FieldSpec[] = [
  ["i_format", INODE_COMPACT.format, 2, showFormat],
  ["i_xattr_icount", INODE_COMPACT.xattrIcount, 2],
  ["i_mode", INODE_COMPACT.mode, 2, showMode],
  ["i_nlink", INODE_COMPACT.nlink, 2],
  ["i_size", INODE_COMPACT.fileSize, 4],
  ["i_reserved", INODE_COMPACT.reserved, 4, hex],
  ["i_u", INODE_COMPACT.u, 4, hex],
  ["i_ino", INODE_COMPACT.ino, 4],
  ["i_uid", INODE_COMPACT.uid, 2],
  ["i_gid", INODE_COMPACT.gid, 2],
  ["i_reserved2", INODE_COMPACT.reserved2, 4, hex],
];

const EXTENDED_FIELDS: readonly FieldSpec[] = [
  ["i_format", INODE_EXTENDED.format, 2, showFormat],
  ["i_xattr_icount", INODE_EXTENDED.xattrIcount, 2],
  ["i_mode", INODE_EXTENDED.mode, 2, showMode],
  ["i_reserved", INODE_EXTENDED.reserved, 2, hex],
  ["i_size", INODE_EXTENDED.fileSize, 8],
  ["i_u", INODE_EXTENDED.u, 4, hex],
  ["i_ino", INODE_EXTENDED.ino, 4],
  ["i_uid", INODE_EXTENDED.uid, 4],
  ["i_gid", INODE_EXTENDED.gid, 4],
  ["i_mtime", INODE_EXTENDED.mtime, 8, signed],
  ["i_mtime_nsec", INODE_EXTENDED.mtimeNsec, 4],
  ["i_nlink", INODE_EXTENDED.nlink, 4],
  ["i_reserved2", INODE_EXTENDED.reserved2, 16, nothing],
];

const XATTR_HEADER_FIELDS: readonly FieldSpec[] = [
  ["h_name_filter", XATTR_IBODY_HEADER.nameFilter, 4, hex],
  ["h_shared_count", XATTR_IBODY_HEADER.sharedCount, 1],
  ["h_reserved2", XATTR_IBODY_HEADER.reserved, 7, nothing],
];

const XATTR_ENTRY_FIELDS: readonly FieldSpec[] = [
  ["e_name_len", XATTR_ENTRY.nameLen, 1],
  ["e_name_index", XATTR_ENTRY.nameIndex, 1, showNameIndex],
  ["e_value_size", XATTR_ENTRY.valueSize, 2],
];

const DIRENT_FIELDS: readonly FieldSpec[] = [
  ["nid", DIRENT.nid, 8],
  ["nameoff", DIRENT.nameoff, 2],
  ["file_type", DIRENT.fileType, 1, showFileType],
  ["reserved", DIRENT.reserved, 1, hex],
];

const LAYOUT_NAMES = new Map<number, string>([
  [EROFS_INODE_FLAT_PLAIN, "flat plain"],
  [EROFS_INODE_FLAT_INLINE, "flat inline"],
  [EROFS_INODE_CHUNK_BASED, "chunk based"],
]);
const FILE_TYPE_NAMES = new Map<number, string>(
  Object.entries(EROFS_FT).map(([name, value]) => [value, name]),
);

/** The composefs header. */
export function headerFields(reader: SourceReader): Iterable<ExplainedField> {
  return new Fields(reader, "composefs header").table(0, HEADER_FIELDS).list;
}

/** The EROFS super block. */
export function superBlockFields(reader: SourceReader): Iterable<ExplainedField> {
  return new Fields(reader, "super block").table(EROFS_SUPER_OFFSET, SUPER_BLOCK_FIELDS).list;
}

/** The fields of any other structure. All of the extent lies inside the image. */
export function extentFields(image: ErofsImage, extent: Extent): Iterable<ExplainedField> {
  const path = extent.path === "" ? "/" : displayText(extent.path);
  const { reader } = image;
  const { offset, length } = extent;
  switch (extent.kind) {
    case "inode":
      return inodeFields(image, extent, path);
    case "shared-xattr":
      return new Fields(reader, "shared xattr").xattrs(offset, offset + length).list;
    case "directory":
      return new Fields(reader, `directory of inode ${extent.nid}`, path).dirents(extent).list;
    case "data":
      return new Fields(reader, `data of inode ${extent.nid}`, path).one(
        offset,
        length,
        "content",
        text,
      ).list;
    case "header":
      return headerFields(reader);
    case "super-block":
      return superBlockFields(reader);
  }
}

/** The first bytes of something, with what is missing said behind them. */
export function bytesPreview(value: Uint8Array): ByteString {
  if (value.length <= PREVIEW) return byteStringFrom(value);
  const start = byteStringFrom(value.subarray(0, PREVIEW));
  return `${start}... (${value.length} bytes)` as ByteString;
}

function inodeFields(image: ErofsImage, extent: Extent, path: string): ExplainedField[] {
  const { reader } = image;
  const { offset } = extent;
  const end = offset + extent.length;
  const isExtended = (reader.u8(offset) & 1) === 1;
  const fields = new Fields(reader, `inode ${extent.nid}`, path);
  fields.table(offset, isExtended ? EXTENDED_FIELDS : COMPACT_FIELDS);
  const xattrsStart = offset + (isExtended ? INODE_EXTENDED.size : INODE_COMPACT.size);
  // An inode that could not be decoded is mapped without what follows it.
  if (xattrsStart >= end) return fields.list;
  const xattrsEnd = xattrsStart + xattrAreaSize(reader.u16(offset + INODE_COMPACT.xattrIcount));
  fields.xattrArea(xattrsStart, xattrsEnd);
  if (xattrsEnd >= end) return fields.list;
  const tail = { offset: xattrsEnd, length: end - xattrsEnd };
  const kind = kindOfMode(reader.u16(offset + INODE_COMPACT.mode));
  const isChunked = ((reader.u16(offset) >> 1) & 7) === EROFS_INODE_CHUNK_BASED;
  if (isChunked) return fields.chunks(tail).list;
  if (kind === "directory") return fields.dirents(tail).list;
  const name = kind === "symlink" ? "target" : "content";
  return fields.one(tail.offset, tail.length, name, text).list;
}

/** Collects the fields of one structure. */
class Fields {
  readonly list: ExplainedField[] = [];
  readonly #reader: SourceReader;
  readonly #structure: string;
  readonly #path: string | undefined;

  constructor(reader: SourceReader, structure: string, path?: string) {
    this.#reader = reader;
    this.#structure = structure;
    this.#path = path;
  }

  one(offset: number, length: number, field: string, show: Show = integer): this {
    const value = show(this.#reader, offset, length);
    const structure = this.#structure;
    this.list.push(
      this.#path === undefined
        ? { offset, length, structure, field, value }
        : { offset, length, structure, field, value, path: this.#path },
    );
    return this;
  }

  table(offset: number, specs: readonly FieldSpec[]): this {
    for (const [name, at, length, show] of specs) this.one(offset + at, length, name, show);
    return this;
  }

  /** What is left of a structure: zeros, or bytes that say nothing. */
  rest(offset: number, end: number, field = "padding"): this {
    return offset < end ? this.one(offset, end - offset, field, nothing) : this;
  }

  xattrArea(offset: number, end: number): this {
    if (offset >= end) return this;
    this.table(offset, XATTR_HEADER_FIELDS);
    let at = offset + XATTR_IBODY_HEADER.size;
    const count = this.#reader.u8(offset + XATTR_IBODY_HEADER.sharedCount);
    for (let i = 0; i < count && at < end; i++, at += 4) this.one(at, 4, "h_shared_xattrs");
    return this.xattrs(at, end);
  }

  xattrs(offset: number, end: number): this {
    let at = offset;
    while (at + XATTR_ENTRY.size <= end) {
      const nameLen = this.#reader.u8(at + XATTR_ENTRY.nameLen);
      const valueSize = this.#reader.u16(at + XATTR_ENTRY.valueSize);
      const nameAt = at + XATTR_ENTRY.size;
      const valueAt = nameAt + nameLen;
      const valueEnd = valueAt + valueSize;
      if (valueEnd > end) return this.rest(at, end, "malformed xattr");
      this.table(at, XATTR_ENTRY_FIELDS);
      const prefix = EROFS_XATTR_PREFIXES[this.#reader.u8(at + XATTR_ENTRY.nameIndex)] ?? "?";
      const name = `${prefix}${this.#reader.text(nameAt, nameLen)}` as ByteString;
      if (nameLen > 0) this.one(nameAt, nameLen, "e_name", () => displayText(name));
      const show = name === OVERLAY_XATTR_METACOPY ? showMetacopy : text;
      if (valueSize > 0) this.one(valueAt, valueSize, "e_value", show);
      at += Math.ceil((valueEnd - at) / 4) * 4;
      this.rest(valueEnd, Math.min(at, end));
    }
    return this.rest(at, end);
  }

  dirents(block: DirentBlock): this {
    const end = block.offset + block.length;
    const entries = rawDirents(this.#reader, block);
    for (const { offset } of entries) this.table(offset, DIRENT_FIELDS);
    let at = block.offset + entries.length * DIRENT.size;
    for (const { nameStart, nameEnd } of entries) {
      if (nameStart !== at) return this.rest(at, end, "malformed names");
      if (nameEnd > nameStart) this.one(nameStart, nameEnd - nameStart, "name", text);
      at = nameEnd;
    }
    return this.rest(at, end, entries.length === 0 ? "malformed directory" : "padding");
  }

  chunks(table: DirentBlock): this {
    for (let at = table.offset; at < table.offset + table.length; at += 4) {
      this.one(at, 4, "chunk address", showChunkAddress);
    }
    return this;
  }
}

function integer(reader: SourceReader, offset: number, length: number): number {
  switch (length) {
    case 1:
      return reader.u8(offset);
    case 2:
      return reader.u16(offset);
    case 4:
      return reader.u32(offset);
    default:
      return reader.u64(offset);
  }
}

function showFormat(reader: SourceReader, offset: number): string {
  const format = reader.u16(offset);
  const layout = LAYOUT_NAMES.get((format >> 1) & 7) ?? "unknown layout";
  return `0x${format.toString(16)} (${(format & 1) === 1 ? "extended" : "compact"}, ${layout})`;
}

function showMode(reader: SourceReader, offset: number): string {
  const mode = reader.u16(offset);
  return `0${mode.toString(8)} (${kindOfMode(mode) ?? "unknown type"})`;
}

function showFileType(reader: SourceReader, offset: number): string {
  const type = reader.u8(offset);
  return `${type} (${FILE_TYPE_NAMES.get(type) ?? "unknown"})`;
}

function showNameIndex(reader: SourceReader, offset: number): string {
  const index = reader.u8(offset);
  return `${index} (${EROFS_XATTR_PREFIXES[index] ?? "unknown"})`;
}

function showChunkAddress(reader: SourceReader, offset: number): string {
  const address = reader.u32(offset);
  return address === EROFS_NULL_ADDR ? "0xffffffff (a hole)" : `block ${address}`;
}

function showMetacopy(reader: SourceReader, offset: number, length: number): string {
  const digest = decodeMetacopy(reader.view(offset, length));
  if (digest === undefined) return `malformed: ${formatHex(reader.view(offset, length))}`;
  return digest === "none" ? "no digest" : `${digestAlgorithm(digest)} ${digest}`;
}
