/** Base64 with padding (RFC 4648, section 4), between bytes and byte strings. */

import { byteStringFrom } from "./byte-string.ts";
import type { ByteString } from "./byte-string.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGITS = Uint8Array.from(ALPHABET, (digit) => digit.charCodeAt(0));
const VALUES = new Int8Array(256).fill(-1);
for (let i = 0; i < DIGITS.length; i++) VALUES[DIGITS[i]!] = i;
const PADDING = 0x3d;

/** Encodes with padding. */
export function formatBase64(bytes: Uint8Array): ByteString {
  const text = new Uint8Array(4 * Math.ceil(bytes.length / 3));
  let to = 0;
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text[to++] = DIGITS[bits >> 18]!;
    text[to++] = DIGITS[(bits >> 12) & 0x3f]!;
    text[to++] = at + 1 < bytes.length ? DIGITS[(bits >> 6) & 0x3f]! : PADDING;
    text[to++] = at + 2 < bytes.length ? DIGITS[bits & 0x3f]! : PADDING;
  }
  return byteStringFrom(text);
}

/** Decodes; `undefined` for anything but whole groups of four with padding at the end alone. */
export function parseBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let to = 0;
  // Whole groups: no check inside of the loop but one at its end.
  const whole = digits - (digits % 4);
  let wrong = 0;
  for (let at = 0; at < whole; at += 4) {
    const a = VALUES[text.charCodeAt(at)] ?? -1;
    const b = VALUES[text.charCodeAt(at + 1)] ?? -1;
    const c = VALUES[text.charCodeAt(at + 2)] ?? -1;
    const d = VALUES[text.charCodeAt(at + 3)] ?? -1;
    wrong |= a | b | c | d;
    bits = (a << 18) | (b << 12) | (c << 6) | d;
    bytes[to++] = bits >> 16;
    bytes[to++] = bits >> 8;
    bytes[to++] = bits;
  }
  if (wrong < 0) return undefined;
  if (padding === 0) return bytes;
  bits = 0;
  for (let at = whole; at < digits; at++) {
    const value = VALUES[text.charCodeAt(at)] ?? -1;
    if (value < 0) return undefined;
    bits = (bits << 6) | value;
  }
  if (padding === 2) {
    bytes[to] = bits >> 4;
  } else {
    bytes[to++] = bits >> 10;
    bytes[to] = bits >> 2;
  }
  return bytes;
}
