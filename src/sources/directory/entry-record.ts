/**
 * What a thread found out about an entry, as bytes: a fixed part, then content, then xattrs.
 *
 * Threads hand over one buffer for some hundred entries, which costs less than as many objects. The
 * order of bytes is the machine's own business; it never leaves the process.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { kindOfMode } from "../../core/tree/node.ts";
import type { FileContent, Leaf, LeafBase, Stat, Timestamp, Xattrs } from "../../core/tree/node.ts";
import { DIGEST_SIZE, objectPath } from "../../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { FileStat } from "../../floor/mod.ts";

/** What follows the fixed part. */
export const PAYLOAD = {
  none: 0,
  inline: 1,
  digest: 2,
  target: 3,
  skipped: 4,
  directory: 5,
  large: 6,
} as const;

const OFFSET = {
  payloadKind: 0,
  xattrCount: 2,
  mode: 4,
  uid: 8,
  gid: 12,
  nlink: 16,
  rdev: 20,
  mtimeSec: 24,
  mtimeNsec: 32,
  dev: 36,
  ino: 40,
  size: 48,
  payloadLength: 56,
  end: 64,
} as const;

const NO_XATTRS: Xattrs = new Map();
const EPOCH: Timestamp = { sec: 0n, nsec: 0 };

/** An xattr on its way into a record. */
export type NamedXattr = readonly [name: ByteString, value: Uint8Array];

/** Appends records to a growing buffer. */
export class RecordWriter {
  #bytes = Buffer.allocUnsafeSlow(16384);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;
  /** Digits of a digest. */
  readonly #digestLength: number;

  constructor(algorithm: FsVerityAlgorithm) {
    this.#digestLength = 2 * DIGEST_SIZE[algorithm];
  }

  /**
   * Appends a record and returns where it starts. The payload of a file with a digest is filled in by
   * `setDigest` when the digest is known.
   */
  add(
    stat: FileStat,
    kind: (typeof PAYLOAD)[keyof typeof PAYLOAD],
    payload: string,
    xattrs: readonly NamedXattr[],
  ): number {
    const start = this.#end;
    const length = kind === PAYLOAD.digest ? this.#digestLength : payload.length;
    let total = OFFSET.end + length;
    for (const [name, value] of xattrs) total += 6 + name.length + value.length;
    this.#reserve(total);
    const view = this.#view;
    view.setUint8(start + OFFSET.payloadKind, kind);
    view.setUint16(start + OFFSET.xattrCount, xattrs.length);
    view.setUint16(start + OFFSET.mode, stat.mode);
    view.setUint32(start + OFFSET.uid, stat.uid);
    view.setUint32(start + OFFSET.gid, stat.gid);
    view.setUint32(start + OFFSET.nlink, stat.nlink);
    view.setUint32(start + OFFSET.rdev, stat.rdev);
    view.setBigInt64(start + OFFSET.mtimeSec, stat.mtimeSec);
    view.setUint32(start + OFFSET.mtimeNsec, stat.mtimeNsec);
    view.setUint32(start + OFFSET.dev, stat.dev);
    view.setBigUint64(start + OFFSET.ino, stat.ino);
    view.setFloat64(start + OFFSET.size, stat.size);
    view.setUint32(start + OFFSET.payloadLength, length);
    let at = start + OFFSET.end;
    if (kind !== PAYLOAD.digest) this.#bytes.write(payload, at, "latin1");
    at += length;
    for (const [name, value] of xattrs) {
      view.setUint16(at, name.length);
      view.setUint32(at + 2, value.length);
      this.#bytes.write(name, at + 6, "latin1");
      this.#bytes.set(value, at + 6 + name.length);
      at += 6 + name.length + value.length;
    }
    this.#end = at;
    return start;
  }

  /** Fills in the digest of the record that starts at `start`. */
  setDigest(start: number, digest: FsVerityDigest): void {
    this.#bytes.write(digest, start + OFFSET.end, "latin1");
  }

  /** Returns all records in a buffer of their own, and starts anew. */
  take(): Uint8Array<ArrayBuffer> {
    const records = new Uint8Array(this.#end);
    records.set(this.#bytes.subarray(0, this.#end));
    this.#end = 0;
    return records;
  }

  #reserve(length: number): void {
    if (this.#end + length <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * this.#bytes.length + length);
    larger.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** An entry as it was read. */
export type ReadEntry =
  | { readonly kind: "leaf"; readonly leaf: Leaf; readonly inode: Inode }
  /** A directory, which the file system had not said before. */
  | { readonly kind: "directory" }
  /** A file that has to be read in parts; it is open, and there is nothing about it in the record. */
  | { readonly kind: "large" }
  /** A device that was not wanted. */
  | { readonly kind: "skipped" };

/** What tells two names of one file from two files. */
export interface Inode {
  readonly dev: number;
  readonly ino: bigint;
  readonly nlink: number;
}

/** Reads records in the order they were written. */
export class RecordReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #useEpoch: boolean;
  #at = 0;

  constructor(records: Uint8Array, options: { readonly useEpoch: boolean }) {
    this.#bytes = Buffer.from(records.buffer, records.byteOffset, records.length);
    this.#view = new DataView(records.buffer, records.byteOffset, records.length);
    this.#useEpoch = options.useEpoch;
  }

  /** Returns the next entry. */
  next(): ReadEntry {
    const start = this.#at;
    const view = this.#view;
    const payloadKind = view.getUint8(start + OFFSET.payloadKind);
    const payloadStart = start + OFFSET.end;
    const payloadEnd = payloadStart + view.getUint32(start + OFFSET.payloadLength);
    this.#at = payloadEnd;
    const xattrs = this.#xattrs(view.getUint16(start + OFFSET.xattrCount));
    if (payloadKind === PAYLOAD.skipped) return { kind: "skipped" };
    if (payloadKind === PAYLOAD.directory) return { kind: "directory" };
    if (payloadKind === PAYLOAD.large) return { kind: "large" };
    const mode = view.getUint16(start + OFFSET.mode);
    const base: LeafBase = { stat: this.#stat(start, mode, xattrs), nlink: 1 };
    const inode: Inode = {
      dev: view.getUint32(start + OFFSET.dev),
      ino: view.getBigUint64(start + OFFSET.ino),
      nlink: view.getUint32(start + OFFSET.nlink),
    };
    return { kind: "leaf", leaf: this.#leaf(start, mode, base, payloadStart, payloadEnd), inode };
  }

  #leaf(start: number, mode: number, base: LeafBase, from: number, to: number): Leaf {
    const { stat, nlink } = base;
    const kind = kindOfMode(mode);
    switch (kind) {
      case "file":
        return { kind, stat, nlink, content: this.#content(start, from, to) };
      case "symlink":
        return { kind, stat, nlink, target: this.#text(from, to) };
      case "chardev":
      case "blockdev":
        return {
          kind,
          stat,
          nlink,
          rdev: this.#view.getUint32(start + OFFSET.rdev),
          claimedSize: 0,
        };
      case "fifo":
      case "socket":
        return { kind, stat, nlink, claimedSize: 0 };
      default:
        throw new TypeError(`no leaf has mode ${mode.toString(8)}`);
    }
  }

  #content(start: number, from: number, to: number): FileContent {
    if (this.#view.getUint8(start + OFFSET.payloadKind) === PAYLOAD.inline) {
      return { kind: "inline", data: new Uint8Array(this.#bytes.subarray(from, to)) };
    }
    const digest = this.#text(from, to) as string as FsVerityDigest;
    const size = this.#view.getFloat64(start + OFFSET.size);
    return { kind: "external", size, path: objectPath(digest), digest };
  }

  #stat(start: number, mode: number, xattrs: Xattrs): Stat {
    const view = this.#view;
    return {
      mode: mode & 0o7777,
      uid: view.getUint32(start + OFFSET.uid),
      gid: view.getUint32(start + OFFSET.gid),
      mtime: this.#useEpoch
        ? EPOCH
        : {
            sec: view.getBigInt64(start + OFFSET.mtimeSec),
            nsec: view.getUint32(start + OFFSET.mtimeNsec),
          },
      xattrs,
    };
  }

  #xattrs(count: number): Xattrs {
    if (count === 0) return NO_XATTRS;
    const xattrs = new Map<ByteString, Uint8Array>();
    for (let i = 0; i < count; i++) {
      const nameStart = this.#at + 6;
      const valueStart = nameStart + this.#view.getUint16(this.#at);
      const valueEnd = valueStart + this.#view.getUint32(this.#at + 2);
      const value = new Uint8Array(this.#bytes.subarray(valueStart, valueEnd));
      xattrs.set(this.#text(nameStart, valueStart), value);
      this.#at = valueEnd;
    }
    return xattrs;
  }

  #text(from: number, to: number): ByteString {
    return this.#bytes.toString("latin1", from, to) as ByteString;
  }
}

/** The stat of what the walking thread reads itself: a directory, a large file. */
export function toStat(stat: FileStat, xattrs: readonly NamedXattr[], useEpoch: boolean): Stat {
  return {
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: useEpoch ? EPOCH : { sec: stat.mtimeSec, nsec: stat.mtimeNsec },
    xattrs: xattrs.length === 0 ? NO_XATTRS : new Map(xattrs),
  };
}
