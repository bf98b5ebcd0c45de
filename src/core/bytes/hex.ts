/** Lower-case hexadecimal, both ways. */

const DIGITS = Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));

/** Bytes whose digits are made into a string by one call. */
const PART = 1024;

/** Arrays of character codes by length, kept for digests: a new one each time is half of the cost. */
const SCRATCH: (number[] | undefined)[] = [];
const KEPT_UP_TO = 64;

/** Returns two lower-case digits a byte. */
export function formatHex(bytes: Uint8Array): string {
  if (bytes.length <= KEPT_UP_TO) {
    return formatPart(bytes, (SCRATCH[bytes.length] ??= new Array<number>(2 * bytes.length)));
  }
  let text = "";
  for (let at = 0; at < bytes.length; at += PART) {
    const part = bytes.subarray(at, at + PART);
    text += formatPart(part, new Array<number>(2 * part.length));
  }
  return text;
}

/** One flat string: a digest that is joined of 32 pieces takes 2 us and, until it is used, 1 KB. */
function formatPart(bytes: Uint8Array, codes: number[]): string {
  for (let i = 0; i < bytes.length; i++) {
    codes[2 * i] = DIGITS[bytes[i]! >> 4]!;
    codes[2 * i + 1] = DIGITS[bytes[i]! & 0xf]!;
  }
  return String.fromCharCode.apply(null, codes);
}

/** Parses an even number of hexadecimal digits of either case; `undefined` for anything else. */
export function parseHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = hexDigit(text.charCodeAt(2 * i));
    const low = hexDigit(text.charCodeAt(2 * i + 1));
    if (high < 0 || low < 0) return undefined;
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

/** The value of one hexadecimal digit given as a character code, or -1. */
export function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x61 && code <= 0x66) return code - 0x61 + 10;
  if (code >= 0x41 && code <= 0x46) return code - 0x41 + 10;
  return -1;
}
