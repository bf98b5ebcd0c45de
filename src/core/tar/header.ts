/**
 * One header block, taken apart. What PAX and GNU extensions say beside it is not known here.
 */

import { EMPTY, byteStringFrom, concatByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { TAR_BLOCKSIZE, TAR_HEADER, TYPEFLAG } from "./format.ts";
import type { FieldPlace } from "./format.ts";
import { decodeNumber } from "./number.ts";

/** What a header block says. */
export interface TarHeader {
  readonly dialect: "v7" | "ustar" | "gnu";
  /** With the prefix of ustar in front. */
  readonly name: ByteString;
  readonly linkname: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow in the archive. */
  readonly size: number;
  readonly mtime: number;
  /** One character. */
  readonly typeflag: string;
  readonly uname: ByteString;
  readonly gname: ByteString;
  readonly devmajor: number;
  readonly devminor: number;
}

/** Makes the error for this header; the reason is a clause. */
export type Refuse = (reason: string) => Error;

/** Makes the errors of one entry, which all name the same offset. */
export interface Trouble {
  readonly corrupt: Refuse;
  readonly unsupported: Refuse;
  readonly overLimit: Refuse;
}

/** Tells whether all bytes of a block are zero. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let i = 0; i < TAR_BLOCKSIZE; i++) if (block[i] !== 0) return false;
  return true;
}

/** Takes a header block apart; throws what `refuse` makes when the checksum or a number is wrong. */
export function decodeHeader(block: Uint8Array, refuse: Refuse): TarHeader {
  if (!hasValidChecksum(block)) throw refuse("header checksum is wrong");
  const dialect = dialectOf(block);
  const number = (field: FieldPlace, what: string): number => {
    const value = decodeNumber(block, field);
    if (value === undefined) throw refuse(`${what} is not a number, or too large`);
    return value;
  };
  const typeflag = String.fromCharCode(block[TAR_HEADER.typeflag.at]!);
  const isDevice = typeflag === TYPEFLAG.CHRTYPE || typeflag === TYPEFLAG.BLKTYPE;
  const isV7 = dialect === "v7";
  const name = textField(block, TAR_HEADER.name);
  const prefix = dialect === "ustar" ? textField(block, TAR_HEADER.prefix) : EMPTY;
  return {
    dialect,
    name: prefix === "" ? name : concatByteStrings(prefix, "/" as ByteString, name),
    linkname: textField(block, TAR_HEADER.linkname),
    mode: number(TAR_HEADER.mode, "mode"),
    uid: number(TAR_HEADER.uid, "uid"),
    gid: number(TAR_HEADER.gid, "gid"),
    size: number(TAR_HEADER.size, "size"),
    mtime: number(TAR_HEADER.mtime, "mtime"),
    typeflag,
    uname: isV7 ? EMPTY : textField(block, TAR_HEADER.uname),
    gname: isV7 ? EMPTY : textField(block, TAR_HEADER.gname),
    // Writers leave anything in these for what is no device.
    devmajor: isDevice && !isV7 ? number(TAR_HEADER.devmajor, "device major number") : 0,
    devminor: isDevice && !isV7 ? number(TAR_HEADER.devminor, "device minor number") : 0,
  };
}

function dialectOf(block: Uint8Array): TarHeader["dialect"] {
  const { at, length } = TAR_HEADER.magic;
  const magic = byteStringFrom(block.subarray(at, at + length));
  if (magic === "ustar  \0") return "gnu";
  return magic.startsWith("ustar\0") ? "ustar" : "v7";
}

/** Bytes up to the first NUL, or the whole field. */
function textField(block: Uint8Array, field: FieldPlace): ByteString {
  return untilNul(block.subarray(field.at, field.at + field.length));
}

/** The bytes in front of the first NUL, or all of them. */
export function untilNul(bytes: Uint8Array): ByteString {
  if (bytes[0] === 0) return EMPTY;
  const nul = bytes.indexOf(0);
  return byteStringFrom(nul < 0 ? bytes : bytes.subarray(0, nul));
}

/** The sum of all bytes, the checksum's own counted as spaces. Some old writers summed signed bytes. */
function hasValidChecksum(block: Uint8Array): boolean {
  const stored = decodeNumber(block, TAR_HEADER.chksum);
  const { unsigned, highBytes } = sumHeader(block);
  return stored === unsigned || stored === unsigned - 256 * highBytes;
}

/** Sums a header block up as its checksum does; `highBytes` counts the bytes above 0x7f. */
export function sumHeader(block: Uint8Array): { unsigned: number; highBytes: number } {
  const { at, length } = TAR_HEADER.chksum;
  let unsigned = length * 0x20;
  let highBytes = 0;
  for (let i = 0; i < TAR_BLOCKSIZE; i++) {
    const byte = block[i]!;
    unsigned += byte;
    highBytes += byte >> 7;
  }
  for (let i = at; i < at + length; i++) {
    unsigned -= block[i]!;
    highBytes -= block[i]! >> 7;
  }
  return { unsigned, highBytes };
}
