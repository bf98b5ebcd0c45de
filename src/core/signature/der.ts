/**
 * DER, as much of it as signatures and certificates have on the outside: elements with one-byte tags.
 *
 * Strict: definite lengths in their shortest form. Source: ITU-T X.690, sections 8.1 and 10.1.
 */

import { ComposefsError } from "../errors.ts";

/** Tags of the universal class, as the whole identifier byte. */
export const DER_TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The identifier byte of a constructed element of the context class: `[0]`, `[1]`. */
export function contextTag(number: number): number {
  return 0xa0 | number;
}

/** One element. */
export interface DerElement {
  readonly tag: number;
  /** What is inside; aliases the bytes read. */
  readonly content: Uint8Array;
  /** With identifier and length. */
  readonly whole: Uint8Array;
}

/** Reads elements one after the other. Throws `invalid-signature`. */
export class DerReader {
  readonly #bytes: Uint8Array;
  /** What is read, for messages. */
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The identifier byte of the next element; `undefined` at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** Reads the next element, which must have this tag. */
  read(tag: number): DerElement {
    const start = this.#at;
    const found = this.#bytes[start];
    if (found !== tag) {
      throw this.invalid(
        found === undefined
          ? "ends early"
          : `has tag 0x${found.toString(16)} where 0x${tag.toString(16)} belongs`,
      );
    }
    this.#at++;
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw this.invalid("ends early");
    const content = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return { tag, content, whole: this.#bytes.subarray(start, end) };
  }

  /** Reads the next element if it has this tag. */
  readOptional(tag: number): DerElement | undefined {
    return this.nextTag === tag ? this.read(tag) : undefined;
  }

  /** Reads the next element, whatever it is. */
  readAny(): DerElement {
    return this.read(this.nextTag ?? DER_TAG.sequence);
  }

  /** Enters the next element. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag).content, this.#what);
  }

  /** Throws unless all is read. */
  end(): void {
    if (!this.isAtEnd) throw this.invalid("has something behind its end");
  }

  invalid(reason: string): ComposefsError {
    return new ComposefsError("invalid-signature", `Cannot read ${this.#what}: it ${reason}`);
  }

  #length(): number {
    const first = this.#bytes[this.#at++];
    if (first === undefined) throw this.invalid("ends early");
    if (first < 0x80) return first;
    const count = first & 0x7f;
    // 16 MiB is more than anything here has.
    if (count === 0 || count > 3) throw this.invalid("has a length that is not DER, or too large");
    let length = 0;
    for (let i = 0; i < count; i++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw this.invalid("ends early");
      length = length * 256 + byte;
    }
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) {
      throw this.invalid("has a length that is not in its shortest form");
    }
    return length;
  }
}

/** Makes an element of its parts. */
export function encodeDer(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = [tag, ...encodeLength(length)];
  const element = new Uint8Array(header.length + length);
  element.set(header);
  let at = header.length;
  for (const part of parts) {
    element.set(part, at);
    at += part.length;
  }
  return element;
}

function encodeLength(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** Makes an element of an object identifier in its dotted form. */
export function encodeObjectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...arcs] = dotted.split(".").map(Number);
  return encodeDer(
    DER_TAG.objectIdentifier,
    Uint8Array.from([first * 40 + second, ...arcs].flatMap(base128)),
  );
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift(0x80 | (rest & 0x7f));
  return bytes;
}
