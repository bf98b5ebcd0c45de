/**
 * Byte strings: file names, paths, symlink targets and xattr names.
 *
 * Linux names are bytes, not text. A `ByteString` is a JavaScript string that holds one byte in each
 * code unit (0 to 255): it keeps any name, is a `Map` key, costs one byte a byte in memory, and `<`
 * compares it in byte order, which is the order of every format here. It is never shown to people as
 * it is: `displayText` decodes it for that. See docs/decisions/0001-byte-strings.md.
 */

declare const byteStringBrand: unique symbol;

/** A string of bytes, one in each code unit. Made only by the functions of this file. */
export type ByteString = string & { readonly [byteStringBrand]: true };

/** The empty byte string. */
export const EMPTY = "" as ByteString;

/** What a host may have beside the language; it decodes ten times faster than the loop below. */
const { TextDecoder } = globalThis as {
  readonly TextDecoder?: new () => { decode(bytes: Uint8Array): string };
};
const utf8 = TextDecoder === undefined ? undefined : new TextDecoder();

/** From this many bytes on the faster way pays. */
const DECODER_MIN = 1024;

/** Up to this many arguments are safe for `String.fromCharCode` on every engine. */
const SPREAD_LIMIT = 4096;

/** Returns the byte string that holds `bytes`; nothing is kept of the argument. */
export function byteStringFrom(bytes: Uint8Array): ByteString {
  if (bytes.length < DECODER_MIN) {
    return String.fromCharCode.apply(null, bytes as unknown as number[]) as ByteString;
  }
  return asciiFrom(bytes) ?? byteStringInParts(bytes);
}

/** The text of bytes that are all ASCII, where UTF-8 and one byte a unit are the same; or nothing. */
function asciiFrom(bytes: Uint8Array): ByteString | undefined {
  const text = utf8?.decode(bytes);
  // What is not ASCII takes several bytes a unit, or is not UTF-8 and becomes a replacement character:
  // looking for one of these takes no time in a string that has one byte a unit.
  if (text?.length !== bytes.length || text.includes("\ufffd")) return undefined;
  return text as ByteString;
}

function byteStringInParts(bytes: Uint8Array): ByteString {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += SPREAD_LIMIT) {
    const part = bytes.subarray(at, at + SPREAD_LIMIT);
    parts.push(String.fromCharCode.apply(null, part as unknown as number[]));
  }
  return parts.join("") as ByteString;
}

/** Returns the byte string of a text, as UTF-8. */
export function byteString(text: string): ByteString {
  if (!NOT_ASCII.test(text)) return text as ByteString;
  // By hand: `TextEncoder` belongs to the host, not to the language.
  let out = "";
  for (const character of text) out += encodeCodePoint(character.codePointAt(0)!);
  return out as ByteString;
}

/** UTF-8 of one code point; a lone surrogate becomes U+FFFD, as everywhere in the web platform. */
function encodeCodePoint(code: number): string {
  if (code < 0x80) return String.fromCharCode(code);
  if (code < 0x800) return String.fromCharCode(0xc0 | (code >> 6), continuation(code));
  if (code >= 0xd800 && code <= 0xdfff) return "\xef\xbf\xbd";
  if (code < 0x10000) {
    return String.fromCharCode(0xe0 | (code >> 12), continuation(code >> 6), continuation(code));
  }
  return String.fromCharCode(
    0xf0 | (code >> 18),
    continuation(code >> 12),
    continuation(code >> 6),
    continuation(code),
  );
}

function continuation(bits: number): number {
  return 0x80 | (bits & 0x3f);
}

/** Returns the bytes in a buffer of their own. */
export function bytesOf(value: ByteString): Uint8Array {
  const bytes = new Uint8Array(value.length);
  writeByteString(value, bytes, 0);
  return bytes;
}

/** Writes the bytes into `target` at `offset`. The caller has checked that they fit. */
export function writeByteString(value: ByteString, target: Uint8Array, offset: number): void {
  for (let i = 0; i < value.length; i++) target[offset + i] = value.charCodeAt(i);
}

/** Joins byte strings; the result is one. */
export function concatByteStrings(...parts: readonly ByteString[]): ByteString {
  return parts.join("") as ByteString;
}

/** A part of a byte string, as `String.prototype.slice`. */
export function sliceByteString(value: ByteString, start: number, end?: number): ByteString {
  return value.slice(start, end) as ByteString;
}

/** Orders as `memcmp` and `strcmp` do: by unsigned bytes, the shorter first. */
export function compareByteStrings(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Decodes for people: UTF-8 where it is, and `\xNN` for control characters, backslashes and bytes
 * that are not UTF-8, so that a hostile name cannot move a terminal's cursor.
 */
export function displayText(value: ByteString): string {
  let out = "";
  let at = 0;
  while (at < value.length) {
    const c = value.charCodeAt(at);
    if (c < 0x80) {
      out += c < 0x20 || c === 0x7f || c === 0x5c ? hexEscape(c) : value[at];
      at++;
      continue;
    }
    const sequence = decodeSequence(value, at);
    if (sequence === undefined) {
      out += hexEscape(c);
      at++;
    } else {
      out += sequence.text;
      at += sequence.length;
    }
  }
  return out;
}

function hexEscape(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** Decodes one UTF-8 sequence of two to four bytes; C1 controls count as not printable. */
function decodeSequence(value: string, at: number): { text: string; length: number } | undefined {
  const first = value.charCodeAt(at);
  const length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || first > 0xf4 || at + length > value.length) return undefined;
  let code = first & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) {
    const next = value.charCodeAt(at + i);
    if ((next & 0xc0) !== 0x80) return undefined;
    code = (code << 6) | (next & 0x3f);
  }
  const overlong = (length === 3 && code < 0x800) || (length === 4 && code < 0x10000);
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  if (overlong || surrogate || code > 0x10ffff || code < 0xa0) return undefined;
  return { text: String.fromCodePoint(code), length };
}

const NOT_ASCII = /[^\0-\x7f]/;
