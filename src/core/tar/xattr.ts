/**
 * Xattrs in PAX records: `SCHILY.xattr.NAME=VALUE` of star, GNU tar and Go, byte for byte, and
 * `LIBARCHIVE.xattr.NAME=VALUE` with the name URL-encoded and the value in base64.
 *
 * libarchive writes both for each xattr; the first kind needs no decoding and wins. A SCHILY name is
 * taken as it stands: GNU tar alone writes `=` in it as `%3D`, and no reader of layers undoes that.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { hexDigit } from "../bytes/hex.ts";
import type { Refuse } from "./header.ts";

/** Keywords of PAX records, before the name of the xattr. */
export const SCHILY_XATTR = "SCHILY.xattr.";
export const LIBARCHIVE_XATTR = "LIBARCHIVE.xattr.";

const PERCENT = 0x25;
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_VALUES = new Int8Array(256).fill(-1);
for (let i = 0; i < BASE64.length; i++) BASE64_VALUES[BASE64.charCodeAt(i)] = i;

/** Undoes `%XX`; a percent sign in front of anything else stands for itself. */
export function decodeXattrName(name: ByteString): ByteString {
  if (!name.includes("%")) return name;
  let out = "";
  for (let at = 0; at < name.length; at++) {
    const high = hexDigit(name.charCodeAt(at + 1));
    const low = hexDigit(name.charCodeAt(at + 2));
    if (name.charCodeAt(at) === PERCENT && high >= 0 && low >= 0) {
      out += String.fromCharCode((high << 4) | low);
      at += 2;
    } else {
      out += name[at];
    }
  }
  return out as ByteString;
}

/** Decodes base64 with or without padding; throws what `refuse` makes. */
export function decodeBase64(text: Uint8Array, refuse: Refuse): Uint8Array {
  let end = text.length;
  while (end > 0 && text.length - end < 2 && text[end - 1] === 0x3d) end--;
  if (end % 4 === 1) throw refuse("xattr value is not base64");
  const out = new Uint8Array(Math.floor((end * 3) / 4));
  let bits = 0;
  let to = 0;
  for (let at = 0; at < end; at++) {
    const digit = BASE64_VALUES[text[at]!]!;
    if (digit < 0) throw refuse("xattr value is not base64");
    bits = ((bits << 6) | digit) & 0xffffff;
    if (at % 4 > 0) out[to++] = (bits >> (6 - 2 * (at % 4))) & 0xff;
  }
  return out;
}

/** Encodes what would end the key of a record, and the percent sign. */
export function encodeXattrName(name: ByteString): ByteString {
  return name.replace(/[%=]/g, (sign) => (sign === "%" ? "%25" : "%3D")) as ByteString;
}

/** Encodes base64 without padding, as libarchive does. */
export function encodeBase64(bytes: Uint8Array): ByteString {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const digits = Math.min(bytes.length - at, 3) + 1;
    for (let i = 0; i < digits; i++) text += BASE64[(bits >> (18 - 6 * i)) & 0x3f];
  }
  return text as ByteString;
}
