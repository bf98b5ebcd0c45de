/**
 * The xattrs of an image, each (name, value) once, and which of them go to the shared table.
 */

import {
  byteStringFrom,
  compareByteStrings,
  sliceByteString,
  writeByteString,
} from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { xxh32 } from "../bytes/xxh32.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";
import { METACOPY_HEADER_SIZE, encodeMetacopy, writeMetacopy } from "../overlay/metacopy.ts";
import { OVERLAY_XATTR_METACOPY, OVERLAY_XATTR_REDIRECT } from "../overlay/names.ts";
import {
  EROFS_XATTR_FILTER_BITS,
  EROFS_XATTR_FILTER_SEED,
  EROFS_XATTR_INDEX_LUSTRE,
  EROFS_XATTR_PREFIXES,
  XATTR_ENTRY,
} from "./format.ts";
import type { FormatTraits } from "./version.ts";

const SLASH = 0x2f;

/** A name as EROFS stores it. */
interface PooledName {
  readonly full: ByteString;
  readonly index: number;
  readonly suffix: ByteString;
  /** The bit of the name filter that this name clears. */
  readonly filterBit: number;
}

/**
 * A name with a value; one object for all inodes that have it.
 *
 * Every external file has a metacopy and a redirect of its own, most of all values in an image, so
 * these are kept as what they are made of and become bytes only where they are written.
 */
export interface PooledXattr {
  readonly name: PooledName;
  readonly source: XattrSource;
  /** Bytes of the value. */
  readonly valueSize: number;
  /** Bytes of the entry, padding to a word included. */
  readonly size: number;
  /** Number of inodes that have it. */
  uses: number;
  /** Byte offset from the start of the shared table, or -1. */
  sharedOffset: number;
}

/** What a value is made of. */
type XattrSource =
  | { readonly kind: "bytes"; readonly value: ByteString }
  | { readonly kind: "metacopy"; readonly digest: FsVerityDigest }
  | { readonly kind: "redirect"; readonly path: ByteString };

/** Interns names and values. */
export class XattrPool {
  readonly #traits: FormatTraits;
  readonly #names = new Map<ByteString, PooledName>();
  /** By full name, then by what the value is made of. */
  readonly #bytes = new Map<ByteString, Map<ByteString, PooledXattr>>();
  readonly #metacopies = new Map<FsVerityDigest, PooledXattr>();
  readonly #redirects = new Map<ByteString, PooledXattr>();

  constructor(traits: FormatTraits) {
    this.#traits = traits;
  }

  /** Returns the one object for this name and value. */
  intern(name: ByteString, value: ByteString): PooledXattr {
    let values = this.#bytes.get(name);
    if (values === undefined) this.#bytes.set(name, (values = new Map()));
    let xattr = values.get(value);
    if (xattr === undefined) {
      xattr = this.#make(name, { kind: "bytes", value }, value.length);
      values.set(value, xattr);
    }
    return xattr;
  }

  /** The metacopy xattr of a digest. */
  metacopy(digest: FsVerityDigest): PooledXattr {
    let xattr = this.#metacopies.get(digest);
    if (xattr === undefined) {
      const size = METACOPY_HEADER_SIZE + digest.length / 2;
      xattr = this.#make(OVERLAY_XATTR_METACOPY, { kind: "metacopy", digest }, size);
      this.#metacopies.set(digest, xattr);
    }
    return xattr;
  }

  /** The redirect xattr that leads to a path in a basedir. */
  redirect(path: ByteString): PooledXattr {
    let xattr = this.#redirects.get(path);
    if (xattr === undefined) {
      xattr = this.#make(OVERLAY_XATTR_REDIRECT, { kind: "redirect", path }, path.length + 1);
      this.#redirects.set(path, xattr);
    }
    return xattr;
  }

  /** Whether any inode may have one of these names. */
  hasName(...names: readonly ByteString[]): boolean {
    return names.some((name) => this.#names.has(name));
  }

  /** All xattrs that more than one inode has, in no order. */
  repeated(): PooledXattr[] {
    const repeated: PooledXattr[] = [];
    for (const values of [...this.#bytes.values(), this.#metacopies, this.#redirects]) {
      for (const xattr of values.values()) if (xattr.uses > 1) repeated.push(xattr);
    }
    return repeated;
  }

  #make(name: ByteString, source: XattrSource, valueSize: number): PooledXattr {
    const pooled = this.#name(name);
    const size = roundUpToWord(XATTR_ENTRY.size + pooled.suffix.length + valueSize);
    return { name: pooled, source, valueSize, size, uses: 0, sharedOffset: -1 };
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
  // The values are put together once, not once for each comparison.
  const sortable = pool.repeated().map((xattr) => ({ xattr, value: valueOf(xattr) }));
  sortable.sort(traits.breadthFirst ? (a, b) => compareAsC(b, a) : compareAsRust);
  let offset = 0;
  return sortable.map(({ xattr }) => {
    xattr.sharedOffset = offset;
    offset += xattr.size;
    return xattr;
  });
}

interface Sortable {
  readonly xattr: PooledXattr;
  readonly value: ByteString;
}

function compareAsC(a: Sortable, b: Sortable): number {
  return (
    compareByteStrings(a.xattr.name.full, b.xattr.name.full) ||
    a.value.length - b.value.length ||
    compareByteStrings(a.value, b.value)
  );
}

function compareAsRust(a: Sortable, b: Sortable): number {
  return (
    a.xattr.name.index - b.xattr.name.index ||
    compareByteStrings(a.xattr.name.suffix, b.xattr.name.suffix) ||
    compareByteStrings(a.value, b.value)
  );
}

function valueOf({ source }: PooledXattr): ByteString {
  switch (source.kind) {
    case "bytes":
      return source.value;
    case "metacopy":
      return byteStringFrom(encodeMetacopy(source.digest));
    case "redirect":
      return `/${source.path}` as ByteString;
  }
}

/** Writes the value into `target` at `offset`. */
export function writeXattrValue({ source }: PooledXattr, target: Uint8Array, offset: number): void {
  switch (source.kind) {
    case "bytes":
      writeByteString(source.value, target, offset);
      return;
    case "metacopy":
      writeMetacopy(source.digest, target, offset);
      return;
    case "redirect":
      target[offset] = SLASH;
      writeByteString(source.path, target, offset + 1);
  }
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
