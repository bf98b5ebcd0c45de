/**
 * The xattrs of an image, each (name, value) once, and which of them go to the shared table.
 */

import { compareByteStrings, sliceByteString } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { xxh32 } from "../bytes/xxh32.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";
import {
  EROFS_XATTR_FILTER_BITS,
  EROFS_XATTR_FILTER_SEED,
  EROFS_XATTR_INDEX_LUSTRE,
  EROFS_XATTR_PREFIXES,
  XATTR_ENTRY,
} from "./format.ts";
import type { FormatTraits } from "./version.ts";

/** A name as EROFS stores it. */
interface PooledName {
  readonly full: ByteString;
  readonly index: number;
  readonly suffix: ByteString;
  /** The bit of the name filter that this name clears. */
  readonly filterBit: number;
}

/** A name with a value; one object for all inodes that have it. */
export interface PooledXattr {
  readonly name: PooledName;
  readonly value: ByteString;
  /** Bytes of the entry, padding to a word included. */
  readonly size: number;
  /** Number of inodes that have it. */
  uses: number;
  /** Byte offset from the start of the shared table, or -1. */
  sharedOffset: number;
}

/** Interns names and values. */
export class XattrPool {
  readonly #traits: FormatTraits;
  readonly #names = new Map<ByteString, PooledName>();
  /** By full name, then by value or by what the value is made of. */
  readonly #xattrs = new Map<ByteString, Map<string, PooledXattr>>();

  constructor(traits: FormatTraits) {
    this.#traits = traits;
  }

  /** Returns the one object for this name and value. */
  intern(name: ByteString, value: ByteString): PooledXattr {
    const known = this.#xattrs.get(name)?.get(value);
    return known ?? this.#add(name, value, value);
  }

  /**
   * The same for a value that is made of something shorter: `make` is called for a new `key` only.
   * Every external file has two such values, and they are most of what is interned.
   */
  internMade<K extends ByteString | FsVerityDigest>(
    name: ByteString,
    key: K,
    make: (key: K) => ByteString,
  ): PooledXattr {
    const known = this.#xattrs.get(name)?.get(key);
    return known ?? this.#add(name, key, make(key));
  }

  #add(name: ByteString, key: string, value: ByteString): PooledXattr {
    const pooled = this.#name(name);
    const size = roundUpToWord(XATTR_ENTRY.size + pooled.suffix.length + value.length);
    const xattr = { name: pooled, value, size, uses: 0, sharedOffset: -1 };
    let values = this.#xattrs.get(name);
    if (values === undefined) this.#xattrs.set(name, (values = new Map()));
    values.set(key, xattr);
    return xattr;
  }

  /** Whether any inode may have one of these names. */
  hasName(...names: readonly ByteString[]): boolean {
    return names.some((name) => this.#names.has(name));
  }

  /** All xattrs that more than one inode has, in no order. */
  repeated(): PooledXattr[] {
    const repeated: PooledXattr[] = [];
    for (const values of this.#xattrs.values()) {
      for (const xattr of values.values()) if (xattr.uses > 1) repeated.push(xattr);
    }
    return repeated;
  }

  #name(full: ByteString): PooledName {
    let name = this.#names.get(full);
    if (name === undefined) {
      const index = prefixIndex(full, this.#traits);
      const suffix = sliceByteString(full, EROFS_XATTR_PREFIXES[index]!.length);
      const filterBit = xxh32(suffix, EROFS_XATTR_FILTER_SEED + index) % EROFS_XATTR_FILTER_BITS;
      name = { full, index, suffix, filterBit };
      this.#names.set(full, name);
    }
    return name;
  }
}

/**
 * Gives every repeated xattr its place in the shared table and returns the table in its order:
 * descending by full name, length, value in V0 and V1; ascending by prefix index, suffix, value in V2.
 */
export function sharedXattrs(pool: XattrPool, traits: FormatTraits): PooledXattr[] {
  const shared = pool.repeated();
  shared.sort(traits.breadthFirst ? (a, b) => compareAsC(b, a) : compareAsRust);
  let offset = 0;
  for (const xattr of shared) {
    xattr.sharedOffset = offset;
    offset += xattr.size;
  }
  return shared;
}

function compareAsC(a: PooledXattr, b: PooledXattr): number {
  return (
    compareByteStrings(a.name.full, b.name.full) ||
    a.value.length - b.value.length ||
    compareByteStrings(a.value, b.value)
  );
}

function compareAsRust(a: PooledXattr, b: PooledXattr): number {
  return (
    a.name.index - b.name.index ||
    compareByteStrings(a.name.suffix, b.name.suffix) ||
    compareByteStrings(a.value, b.value)
  );
}

function prefixIndex(name: ByteString, traits: FormatTraits): number {
  for (let index = 1; index < EROFS_XATTR_PREFIXES.length; index++) {
    if (index === EROFS_XATTR_INDEX_LUSTRE && !traits.lustrePrefix) continue;
    if (name.startsWith(EROFS_XATTR_PREFIXES[index]!)) return index;
  }
  return 0;
}

function roundUpToWord(size: number): number {
  return Math.ceil(size / 4) * 4;
}
