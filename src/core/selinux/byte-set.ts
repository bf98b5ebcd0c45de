/**
 * Sets of bytes: what a `.`, an escape like `\d` or a bracket expression of a pattern matches.
 */

/** A set of bytes: 1 at the index of each member. */
export type ByteSet = Uint8Array;

/** Makes a set of the bytes in `ranges`, pairs of first and last: `byteSet("azAZ__")`. */
export function byteSet(ranges: string): ByteSet {
  const set = new Uint8Array(256);
  for (let at = 0; at < ranges.length; at += 2) {
    set.fill(1, ranges.charCodeAt(at), ranges.charCodeAt(at + 1) + 1);
  }
  return set;
}

/** The bytes that are not in a set. */
export function complementOf(set: ByteSet): ByteSet {
  return set.map((member) => 1 - member);
}

/** Adds the members of `other`. */
export function addAll(set: ByteSet, other: ByteSet): void {
  for (const [byte, member] of other.entries()) if (member === 1) set[byte] = 1;
}

const DIGIT = byteSet("09");
const WORD = byteSet("09AZ__az");
const SPACE = byteSet("\t\r  ");

/** What `\d` and its like match. */
export const ESCAPED_SETS: ReadonlyMap<string, ByteSet> = new Map([
  ["d", DIGIT],
  ["D", complementOf(DIGIT)],
  ["w", WORD],
  ["W", complementOf(WORD)],
  ["s", SPACE],
  ["S", complementOf(SPACE)],
]);

/** What `[:alpha:]` and its like match inside of brackets. */
export const NAMED_SETS: ReadonlyMap<string, ByteSet> = new Map([
  ["alnum", byteSet("09AZaz")],
  ["alpha", byteSet("AZaz")],
  ["ascii", byteSet("\0\x7f")],
  ["blank", byteSet("\t\t  ")],
  ["cntrl", byteSet("\0\x1f\x7f\x7f")],
  ["digit", DIGIT],
  ["graph", byteSet("!~")],
  ["lower", byteSet("az")],
  ["print", byteSet(" ~")],
  ["punct", byteSet("!/:@[`{~")],
  ["space", SPACE],
  ["upper", byteSet("AZ")],
  ["word", WORD],
  ["xdigit", byteSet("09AFaf")],
]);

/** Whether a byte belongs to a word, for `\b`. */
export function isWordByte(byte: number): boolean {
  return WORD[byte] === 1;
}

/** Any byte but `excluded`: what a `.` matches. */
export function allBut(excluded: string): ByteSet {
  return complementOf(byteSet(excluded + excluded));
}
