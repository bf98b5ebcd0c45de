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
  /** What the value is made of: the value itself, a digest in hexadecimal, or the path of a file. */
  readonly kind: "bytes" | "metacopy" | "redirect";
  readonly text: string;
  /** Bytes of the value. */
  readonly valueSize: number;
  /** Bytes of the entry, padding to a word included. */
  readonly size: number;
  /** Number of inodes that have it. */
  uses: number;
  /** Byte offset from the start of the shared table, or -1. */
  sharedOffset: number;
}

/** What inodes have of one object: mostly the one comes with the other. */
interface ObjectXattrs {
  metacopy: PooledXattr | undefined;
  redirect: PooledXattr | undefined;
}

/** Interns names and values. */
export class XattrPool {
  readonly #traits: FormatTraits;
  readonly #names = new Map<ByteString, PooledName>();
  /** By full name, then by value. */
  readonly #bytes = new Map<ByteString, Map<ByteString, PooledXattr>>();
  /** By digest; a path of the form `XX/<rest>` stands with the digest that it is made of. */
  readonly #objects = new Map<string, ObjectXattrs>();
  /** By path, those of other forms. */
  readonly #redirects = new Map<ByteString, PooledXattr>();
  /** The last digest that was asked for: its path is asked for next. */
  #lastDigest = "";
  #lastObject: ObjectXattrs | undefined;
  #metacopyName: PooledName | undefined;
  #redirectName: PooledName | undefined;

  constructor(traits: FormatTraits) {
    this.#traits = traits;
  }

  /** Returns the one object for this name and value. */
  intern(name: ByteString, value: ByteString): PooledXattr {
    let values = this.#bytes.get(name);
    if (values === undefined) this.#bytes.set(name, (values = new Map()));
    let xattr = values.get(value);
    if (xattr === undefined) {
      xattr = this.#make(this.#name(name), "bytes", value, value.length);
      values.set(value, xattr);
    }
    return xattr;
  }

  /** The metacopy xattr of a digest. */
  metacopy(digest: FsVerityDigest): PooledXattr {
    const object = this.#object(digest);
    this.#lastDigest = digest;
    this.#lastObject = object;
    return (object.metacopy ??= this.#makeMetacopy(digest));
  }

  /** The redirect xattr that leads to a path in a basedir. */
  redirect(path: ByteString): PooledXattr {
    const object = this.#objectAt(path);
    if (object !== undefined) return (object.redirect ??= this.#makeRedirect(path));
    let xattr = this.#redirects.get(path);
    if (xattr === undefined) {
      xattr = this.#makeRedirect(path);
      this.#redirects.set(path, xattr);
    }
    return xattr;
  }

  /** The object that a path of the form `XX/<rest>` names; `undefined` for a path of another form. */
  #objectAt(path: ByteString): ObjectXattrs | undefined {
    const length = path.length - 1;
    if ((length !== 64 && length !== 128) || path.charCodeAt(2) !== SLASH) return undefined;
    const last = this.#lastDigest;
    const isLast =
      last.length === length && path.endsWith(last.slice(2)) && path.startsWith(last.slice(0, 2));
    if (isLast) return this.#lastObject;
    return this.#object(path.slice(0, 2) + path.slice(3));
  }

  #object(digest: string): ObjectXattrs {
    let object = this.#objects.get(digest);
    if (object === undefined) {
      object = { metacopy: undefined, redirect: undefined };
      this.#objects.set(digest, object);
    }
    return object;
  }

  /** Whether any inode may have one of these names. */
  hasName(...names: readonly ByteString[]): boolean {
    return names.some((name) => this.#names.has(name));
  }

  /** All xattrs that more than one inode has, in no order. */
  repeated(): PooledXattr[] {
    const repeated: PooledXattr[] = [];
    const add = (xattr: PooledXattr | undefined): void => {
      if (xattr !== undefined && xattr.uses > 1) repeated.push(xattr);
    };
    for (const values of this.#bytes.values()) for (const xattr of values.values()) add(xattr);
    for (const xattr of this.#redirects.values()) add(xattr);
    for (const { metacopy, redirect } of this.#objects.values()) {
      add(metacopy);
      add(redirect);
    }
    return repeated;
  }

  #makeMetacopy(digest: FsVerityDigest): PooledXattr {
    this.#metacopyName ??= this.#name(OVERLAY_XATTR_METACOPY);
    const size = METACOPY_HEADER_SIZE + digest.length / 2;
    return this.#make(this.#metacopyName, "metacopy", digest, size);
  }

  #makeRedirect(path: ByteString): PooledXattr {
    this.#redirectName ??= this.#name(OVERLAY_XATTR_REDIRECT);
    return this.#make(this.#redirectName, "redirect", path, path.length + 1);
  }

  #make(name: PooledName, kind: PooledXattr["kind"], text: string, valueSize: number): PooledXattr {
    const size = roundUpToWord(XATTR_ENTRY.size + name.suffix.length + valueSize);
    return { name, kind, text, valueSize, size, uses: 0, sharedOffset: -1 };
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
  const sortable = pool.repeated().map((xattr) => ({ xattr, start: startOf(xattr.text) }));
  sortable.sort(traits.breadthFirst ? (a, b) => compareAsC(b, a) : compareAsRust);
  let offset = 0;
  return sortable.map(({ xattr }) => {
    xattr.sharedOffset = offset;
    offset += xattr.size;
    return xattr;
  });
}

/** An xattr with the first characters of its text as one number: these decide most comparisons. */
interface Sortable {
  readonly xattr: PooledXattr;
  readonly start: number;
}

/** Six units of 8 bits are a number that a double holds; a text that is shorter counts as if it had NULs. */
function startOf(text: string): number {
  let start = 0;
  for (let i = 0; i < 6; i++) start = start * 256 + (i < text.length ? text.charCodeAt(i) : 0);
  return start;
}

function compareAsC(a: Sortable, b: Sortable): number {
  return (
    (a.xattr.name === b.xattr.name
      ? 0
      : compareByteStrings(a.xattr.name.full, b.xattr.name.full)) ||
    a.xattr.valueSize - b.xattr.valueSize ||
    compareValues(a, b)
  );
}

function compareAsRust(a: Sortable, b: Sortable): number {
  return (
    a.xattr.name.index - b.xattr.name.index ||
    compareByteStrings(a.xattr.name.suffix, b.xattr.name.suffix) ||
    compareValues(a, b)
  );
}

/** By the bytes of the values, mostly without making them. */
function compareValues(a: Sortable, b: Sortable): number {
  const { kind, valueSize, text } = a.xattr;
  // Digests in hexadecimal and paths without the slash are in the order of the values they make; but
  // a digest of another size has another header.
  const isAlike = kind === b.xattr.kind && (kind !== "metacopy" || valueSize === b.xattr.valueSize);
  if (!isAlike) return compareByteStrings(valueOf(a.xattr), valueOf(b.xattr));
  if (a.start !== b.start) return a.start - b.start;
  return text < b.xattr.text ? -1 : text > b.xattr.text ? 1 : 0;
}

function valueOf({ kind, text }: PooledXattr): ByteString {
  switch (kind) {
    case "bytes":
      return text as ByteString;
    case "metacopy":
      return byteStringFrom(encodeMetacopy(text as FsVerityDigest));
    case "redirect":
      return `/${text}` as ByteString;
  }
}

/** Writes the value into `target` at `offset`. */
export function writeXattrValue(xattr: PooledXattr, target: Uint8Array, offset: number): void {
  const { kind, text } = xattr;
  switch (kind) {
    case "bytes":
      writeByteString(text as ByteString, target, offset);
      return;
    case "metacopy":
      writeMetacopy(text as FsVerityDigest, target, offset);
      return;
    case "redirect":
      target[offset] = SLASH;
      writeByteString(text as ByteString, target, offset + 1);
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
