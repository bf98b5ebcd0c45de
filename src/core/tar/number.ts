/**
 * Numbers in header fields: octal text, or base-256 where octal is too short (GNU, star, also negative).
 *
 * Base-256: the first bit of the field is set, the rest is one big-endian number in two's complement.
 */

import type { FieldPlace } from "./format.ts";

const SPACE = 0x20;
const ZERO = 0x30;
const SEVEN = 0x37;

/**
 * Returns the number in a field; an empty field is 0. `undefined` for what is no number or not exact
 * as a double (2^53 and more).
 */
export function decodeNumber(block: Uint8Array, field: FieldPlace): number | undefined {
  const { at, length } = field;
  return (block[at]! & 0x80) !== 0
    ? decodeBase256(block, at, at + length)
    : decodeOctal(block, at, at + length);
}

function decodeOctal(block: Uint8Array, start: number, end: number): number | undefined {
  let at = start;
  while (at < end && isBlank(block[at]!)) at++;
  let value = 0;
  for (; at < end; at++) {
    const byte = block[at]!;
    // What follows the space or NUL at the end of the digits never meant anything.
    if (isBlank(byte)) break;
    if (byte < ZERO || byte > SEVEN) return undefined;
    value = value * 8 + (byte - ZERO);
  }
  return value;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === 0;
}

function decodeBase256(block: Uint8Array, start: number, end: number): number | undefined {
  const isNegative = (block[start]! & 0x40) !== 0;
  // Of a negative number the inverted bits are summed up: they are small where the number is.
  const flip = isNegative ? 0xff : 0;
  let value = (block[start]! ^ flip) & 0x3f;
  for (let at = start + 1; at < end; at++) {
    value = value * 256 + (block[at]! ^ flip);
    if (value > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return isNegative ? -value - 1 : value;
}

/** Writes a number of 0 or more as octal text with a NUL, if it fits; tells whether it did. */
export function encodeOctal(block: Uint8Array, field: FieldPlace, value: number): boolean {
  const digits = value.toString(8);
  const room = field.length - 1;
  if (value < 0 || digits.length > room) return false;
  const text = digits.padStart(room, "0");
  for (let i = 0; i < room; i++) block[field.at + i] = text.charCodeAt(i);
  block[field.at + room] = 0;
  return true;
}
