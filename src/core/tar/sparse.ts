/**
 * Maps of sparse files, in the four dialects of GNU tar: the old header type `S`, and PAX 0.0
 * (a pair of records a piece), 0.1 (one record) and 1.0 (text in front of the content).
 *
 * Source: GNU tar manual, "Storing Sparse Files".
 */

import { byteStringFrom } from "../bytes/byte-string.ts";
import { OLD_GNU_SPARSE, OLD_GNU_SPARSE_EXTENSION } from "./format.ts";
import type { FieldPlace } from "./format.ts";
import type { Refuse, Trouble } from "./header.ts";
import { decodeNumber } from "./number.ts";
import { parsePaxNumber } from "./pax.ts";
import type { PaxRecord } from "./pax.ts";

/** A piece of a sparse file that is not a hole. Never empty. */
export interface SparseSegment {
  /** Where it lies in the file. */
  readonly offset: number;
  readonly size: number;
}

/** A map while it is read: pairs that nothing has checked yet. */
export class SparseMapBuilder {
  readonly #limit: number;
  readonly #overLimit: () => Error;
  readonly #pairs: SparseSegment[] = [];

  /** `overLimit` makes the error for more than `limit` pieces. */
  constructor(limit: number, overLimit: () => Error) {
    this.#limit = limit;
    this.#overLimit = overLimit;
  }

  add(offset: number, size: number): void {
    if (this.#pairs.length >= this.#limit) throw this.#overLimit();
    this.#pairs.push({ offset, size });
  }

  /**
   * Returns the pieces that hold bytes: in order, apart from each other, inside a file of `fileSize`
   * and `storedSize` bytes together. Throws what `refuse` makes.
   */
  finish(fileSize: number, storedSize: number, refuse: Refuse): SparseSegment[] {
    let end = 0;
    let stored = 0;
    for (const { offset, size } of this.#pairs) {
      if (offset < end || size > fileSize - offset) {
        throw refuse("sparse map is out of order, or leaves the file");
      }
      end = offset + size;
      stored += size;
    }
    if (stored !== storedSize) {
      throw refuse(`sparse map holds ${stored} bytes, the archive ${storedSize}`);
    }
    return this.#pairs.filter(({ size }) => size > 0);
  }
}

/** Reads the pairs in a header of type `S`; tells whether a block with more of them follows. */
export function readOldGnuHeader(
  block: Uint8Array,
  map: SparseMapBuilder,
  refuse: Refuse,
): { readonly fileSize: number; readonly goesOn: boolean } {
  readPairs(block, OLD_GNU_SPARSE.map, map, refuse);
  const fileSize = decodeNumber(block, OLD_GNU_SPARSE.realsize);
  if (fileSize === undefined || fileSize < 0) throw refuse("size of a sparse file is wrong");
  return { fileSize, goesOn: block[OLD_GNU_SPARSE.isextended.at] !== 0 };
}

/** Reads a block that goes on with the map; tells whether one more follows. */
export function readOldGnuExtension(
  block: Uint8Array,
  map: SparseMapBuilder,
  refuse: Refuse,
): boolean {
  readPairs(block, OLD_GNU_SPARSE_EXTENSION.map, map, refuse);
  return block[OLD_GNU_SPARSE_EXTENSION.isextended.at] !== 0;
}

function readPairs(
  block: Uint8Array,
  field: FieldPlace,
  map: SparseMapBuilder,
  refuse: Refuse,
): void {
  for (let at = field.at; at < field.at + field.length; at += 24) {
    // A pair that is not used ends the list.
    if (block[at] === 0) return;
    const offset = decodeNumber(block, { at, length: 12 });
    const size = decodeNumber(block, { at: at + 12, length: 12 });
    if (offset === undefined || size === undefined || offset < 0 || size < 0) {
      throw refuse("sparse map holds something that is no number");
    }
    map.add(offset, size);
  }
}

/** What PAX records say of a sparse file. */
export interface PaxSparse {
  /** With its holes; `undefined` where no record tells. */
  readonly fileSize: number | undefined;
  /** Version 1.0: the map is a text in front of the content. */
  readonly mapInContent: boolean;
}

const PREFIX = "GNU.sparse.";

/** Reads the records of a sparse file, in their order; `undefined` when there are none. */
export function readPaxSparse(
  records: readonly PaxRecord[],
  map: SparseMapBuilder,
  trouble: Trouble,
): PaxSparse | undefined {
  const found = records.filter(({ key }) => key.startsWith(PREFIX));
  if (found.length === 0) return undefined;
  const numbers = new Map<string, number>();
  for (const { key, value } of found) {
    const name = key.slice(PREFIX.length);
    if (name === "name") continue;
    if (name === "map") {
      readPaxMap(value, map, trouble.corrupt);
      continue;
    }
    const number = parsePaxNumber(value);
    if (number === undefined) throw trouble.corrupt(`PAX record "${key}" is not a number`);
    if (name === "numbytes") {
      const offset = numbers.get("offset");
      if (offset === undefined) throw trouble.corrupt("sparse map has a size without an offset");
      map.add(offset, number);
      numbers.delete("offset");
    } else {
      numbers.set(name, number);
    }
  }
  const major = numbers.get("major") ?? 0;
  const minor = numbers.get("minor") ?? 0;
  const mapInContent = major === 1 && minor === 0;
  if (!mapInContent && major !== 0) {
    throw trouble.unsupported(`sparse file of format ${major}.${minor}`);
  }
  return { fileSize: numbers.get("realsize") ?? numbers.get("size"), mapInContent };
}

/** Reads the value of `GNU.sparse.map` (0.1): `OFFSET,SIZE,OFFSET,SIZE,...`. */
function readPaxMap(value: Uint8Array, map: SparseMapBuilder, refuse: Refuse): void {
  const text = byteStringFrom(value);
  if (text === "") return;
  if (!/^\d+(,\d+)*$/.test(text)) throw refuse("sparse map holds something that is no number");
  const numbers = text.split(",").map(Number);
  if (numbers.length % 2 !== 0) throw refuse("sparse map has an offset without a size");
  for (let i = 0; i < numbers.length; i += 2) map.add(numbers[i]!, numbers[i + 1]!);
}

const NEWLINE = 0x0a;
const MAX_DIGITS = 20;

/**
 * Reads the map of 1.0, which comes block by block in front of the content: the number of pairs, then
 * offset and size of each, every number on a line of its own. It ends inside a block.
 */
export class PaxMapText {
  readonly #map: SparseMapBuilder;
  readonly #refuse: Refuse;
  #digits: number[] = [];
  #pairsLeft: number | undefined;
  #offset: number | undefined;

  constructor(map: SparseMapBuilder, refuse: Refuse) {
    this.#map = map;
    this.#refuse = refuse;
  }

  /** Takes a block; tells whether one more follows. */
  push(block: Uint8Array): boolean {
    for (const byte of block) {
      if (this.#pairsLeft === 0) return false;
      if (byte !== NEWLINE) {
        if (this.#digits.push(byte) > MAX_DIGITS) throw this.#bad();
        continue;
      }
      const number = parsePaxNumber(Uint8Array.from(this.#digits));
      if (number === undefined) throw this.#bad();
      this.#digits = [];
      this.#take(number);
    }
    return this.#pairsLeft !== 0;
  }

  #take(number: number): void {
    if (this.#pairsLeft === undefined) {
      this.#pairsLeft = number;
    } else if (this.#offset === undefined) {
      this.#offset = number;
    } else {
      this.#map.add(this.#offset, number);
      this.#offset = undefined;
      this.#pairsLeft--;
    }
  }

  #bad(): Error {
    return this.#refuse("sparse map holds something that is no number");
  }
}
