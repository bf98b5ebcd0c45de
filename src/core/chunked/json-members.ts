/**
 * The members of one large JSON object, one after the other: a TOC has hundreds of thousands of entries,
 * and a hostile one would take ten times its size in memory if it were parsed as a whole.
 *
 * Only where a value ends is found out here; `JSON.parse` then says whether it is one.
 */

import { decodeUtf8 } from "../bytes/utf8.ts";

/** A value of the object, or an element of an array that is one. */
export interface JsonMember {
  readonly key: string;
  /** Whether the value is an element of the array that belongs to the key. */
  readonly isElement: boolean;
  readonly value: unknown;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Yields the members in order; of an array its elements. `valueSize` limits the bytes of one value; throws
 * what `refuse` makes.
 */
export function* jsonMembers(
  bytes: Uint8Array,
  valueSize: number,
  refuse: (reason: string) => Error,
): Generator<JsonMember, void> {
  const scan = new Scanner(bytes, valueSize, refuse);
  scan.expect(OPEN_BRACE);
  if (!scan.skipIf(CLOSE_BRACE)) {
    do {
      const key = scan.value();
      if (typeof key !== "string") throw refuse("a key of its JSON is no string");
      scan.expect(COLON);
      if (scan.skipIf(OPEN_BRACKET)) {
        if (scan.skipIf(CLOSE_BRACKET)) continue;
        do yield { key, isElement: true, value: scan.value() };
        while (scan.skipIf(COMMA));
        scan.expect(CLOSE_BRACKET);
      } else {
        yield { key, isElement: false, value: scan.value() };
      }
    } while (scan.skipIf(COMMA));
    scan.expect(CLOSE_BRACE);
  }
  scan.expectEnd();
}

/** Parses one JSON text; `undefined` for what is none. */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

class Scanner {
  readonly #bytes: Uint8Array;
  readonly #valueSize: number;
  readonly #refuse: (reason: string) => Error;
  #at = 0;

  constructor(bytes: Uint8Array, valueSize: number, refuse: (reason: string) => Error) {
    this.#bytes = bytes;
    this.#valueSize = valueSize;
    this.#refuse = refuse;
  }

  /** Skips blanks, and then the byte if it is there; tells whether it was. */
  skipIf(byte: number): boolean {
    while (isBlank(this.#bytes[this.#at])) this.#at++;
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  expect(byte: number): void {
    if (!this.skipIf(byte)) throw this.#wrong(`"${String.fromCharCode(byte)}" is missing`);
  }

  expectEnd(): void {
    while (isBlank(this.#bytes[this.#at])) this.#at++;
    if (this.#at < this.#bytes.length) throw this.#wrong("something follows its end");
  }

  value(): unknown {
    while (isBlank(this.#bytes[this.#at])) this.#at++;
    const start = this.#at;
    const end = this.#valueEnd();
    this.#at = end;
    const value = parseJson(this.#bytes.subarray(start, end));
    if (value === undefined) {
      this.#at = start;
      throw this.#wrong("a value cannot be parsed");
    }
    return value;
  }

  /** Where the value at the present place ends, if it is one. */
  #valueEnd(): number {
    const bytes = this.#bytes;
    const limit = Math.min(bytes.length, this.#at + this.#valueSize);
    let depth = 0;
    let inString = false;
    for (let at = this.#at; at < limit; at++) {
      const byte = bytes[at]!;
      if (inString) {
        if (byte === BACKSLASH) at++;
        else if (byte === QUOTE) inString = false;
        else continue;
        if (!inString && depth === 0) return at + 1;
      } else if (byte === QUOTE) {
        inString = true;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        depth++;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        if (depth === 0) return at;
        if (--depth === 0) return at + 1;
      } else if (depth === 0 && (byte === COMMA || byte === COLON || isBlank(byte))) {
        return at;
      }
    }
    if (limit === bytes.length) throw this.#wrong("it is cut");
    throw this.#wrong(`a value has more than ${this.#valueSize} bytes`);
  }

  #wrong(reason: string): Error {
    return this.#refuse(`its JSON is wrong at byte ${this.#at}: ${reason}`);
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
