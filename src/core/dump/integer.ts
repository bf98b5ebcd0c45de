/**
 * Integers of a dump, read as C `strtoull` reads them: white space, a sign, digits, and no more;
 * too large becomes the largest, negative wraps around at 2^64.
 */

const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

/**
 * An unsigned 64-bit value out of `text` from `start` to `end`; a `bigint` only above 2^53.
 * `undefined` where there is no integer.
 */
export function parseUint64(
  text: string,
  base: 8 | 10,
  start = 0,
  end = text.length,
): number | bigint | undefined {
  const plain = end - start <= 15 ? parsePlain(text, base, start, end) : -1;
  return plain >= 0 ? plain : parseAny(text.slice(start, end), base);
}

/** Up to 15 digits and nothing else, or -1. */
function parsePlain(text: string, base: number, start: number, end: number): number {
  if (start >= end) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit < base)) return -1;
    value = value * base + digit;
  }
  return value;
}

const SYNTAX = {
  8: /^[\t\n\v\f\r ]*([+-]?)([0-7]+)$/,
  10: /^[\t\n\v\f\r ]*([+-]?)([0-9]+)$/,
} as const;

function parseAny(text: string, base: 8 | 10): number | bigint | undefined {
  const match = SYNTAX[base].exec(text);
  if (match === null) return undefined;
  // 23 octal or 21 decimal digits are over 2^64 already: more would only cost time.
  const digits = match[2]!.replace(/^0+(?=.)/, "");
  const magnitude =
    digits.length > 24 ? UINT64_MAX + 1n : BigInt(base === 8 ? `0o${digits}` : digits);
  const value =
    magnitude > UINT64_MAX
      ? UINT64_MAX
      : match[1] === "-"
        ? BigInt.asUintN(64, -magnitude)
        : magnitude;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

/** The low 32 bits, unsigned: what C keeps when it assigns to a `uint32_t`. */
export function toUint32(value: number | bigint): number {
  if (typeof value === "number" && value <= 0xffff_ffff) return value;
  return Number(BigInt.asUintN(32, BigInt(value)));
}
