/** UTF-8 to text, for formats that are text by their specification. Names are not; see `byte-string.ts`. */

import { byteStringFrom } from "./byte-string.ts";

const NOT_ASCII = /[^\0-\x7f]/;

/** Decodes UTF-8; `undefined` for bytes that are not. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  const text = byteStringFrom(bytes);
  return NOT_ASCII.test(text) ? decodeSequences(text, () => undefined) : text;
}

/**
 * Replaces each byte that belongs to no UTF-8 sequence by U+FFFD, as Go's JSON encoder does to strings;
 * the result is text.
 */
export function decodeUtf8Lossy(bytes: Uint8Array): string {
  return decodeSequences(byteStringFrom(bytes), () => "\ufffd")!;
}

/** `replace` gives what stands for a byte that is not UTF-8; `undefined` ends it all. */
function decodeSequences(bytes: string, replace: () => string | undefined): string | undefined {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    const decoded = length === 0 ? replace() : codePointText(bytes, at, length);
    if (decoded === undefined) return undefined;
    text += decoded;
    at += Math.max(length, 1);
  }
  return text;
}

function codePointText(bytes: string, at: number, length: number): string {
  if (length === 1) return bytes[at]!;
  let code = bytes.charCodeAt(at) & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) code = (code << 6) | (bytes.charCodeAt(at + i) & 0x3f);
  return String.fromCodePoint(code);
}

/** Bytes of the sequence at `at` (RFC 3629, section 4), or 0. */
function sequenceLength(bytes: string, at: number): number {
  const first = bytes.charCodeAt(at);
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  for (let i = 1; i < length; i++) {
    if ((bytes.charCodeAt(at + i) & 0xc0) !== 0x80) return 0;
  }
  const second = bytes.charCodeAt(at + 1);
  const isOverlong = (first === 0xe0 && second < 0xa0) || (first === 0xf0 && second < 0x90);
  const isSurrogate = first === 0xed && second > 0x9f;
  const isTooHigh = first === 0xf4 && second > 0x8f;
  return isOverlong || isSurrogate || isTooHigh ? 0 : length;
}
