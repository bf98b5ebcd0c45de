/**
 * The file `content-index` in a repository: a header, then records of one size. See
 * docs/formats/content-index.md.
 */

import { crc32 } from "node:zlib";

import {
  DIGEST_SIZE,
  FS_VERITY_HASH_ALG,
  fsVerityDigestFrom,
  writeDigest,
} from "../../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";

/** Its name in the repository. No other program looks there. */
export const CONTENT_INDEX_NAME = "content-index";

const MAGIC = "CfsContentIndex\n";
const VERSION = 1;

/** Offsets in the header; the rest of it is zero. */
const HEADER = { size: 64, magic: 0, version: 16, algorithm: 17 } as const;

/** Bytes of the header. */
export const HEADER_SIZE = HEADER.size;

/** Bytes of a record's key. */
export const KEY_SIZE = 32;

/** Content and the object that holds it. */
export interface ContentEntry {
  readonly digest: FsVerityDigest;
  /** Bytes of the content. */
  readonly size: number;
}

/** Bytes of a record: key, fs-verity digest, size, checksum. */
export function recordSize(algorithm: FsVerityAlgorithm): number {
  return KEY_SIZE + DIGEST_SIZE[algorithm] + 8 + 4;
}

/** The header of an index whose objects have digests of this algorithm. */
export function encodeHeader(algorithm: FsVerityAlgorithm): Uint8Array {
  const header = Buffer.alloc(HEADER.size);
  header.write(MAGIC, HEADER.magic, "latin1");
  header[HEADER.version] = VERSION;
  header[HEADER.algorithm] = FS_VERITY_HASH_ALG[algorithm];
  return header;
}

/** What a file is: one of ours, one of a later version, or nothing that can be used. */
export function classifyHeader(
  header: Uint8Array,
  algorithm: FsVerityAlgorithm,
): "usable" | "later" | "unusable" {
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  if (bytes.length < HEADER.size || bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    return "unusable";
  }
  if (bytes[HEADER.version]! > VERSION) return "later";
  return bytes[HEADER.version] === VERSION &&
    bytes[HEADER.algorithm] === FS_VERITY_HASH_ALG[algorithm]
    ? "usable"
    : "unusable";
}

/** Writes one record to the start of `into`. */
export function encodeRecord(into: Uint8Array, key: Uint8Array, entry: ContentEntry): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  into.set(key);
  writeDigest(entry.digest, into, KEY_SIZE);
  const at = KEY_SIZE + entry.digest.length / 2;
  view.setBigUint64(at, BigInt(entry.size), true);
  view.setUint32(at + 8, crc32(into.subarray(0, at + 8)), true);
}

/** Reads a record; `undefined` if it is torn. */
export function decodeRecord(record: Uint8Array): ContentEntry | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const at = record.length - 12;
  if (view.getUint32(at + 8, true) !== crc32(record.subarray(0, at + 8))) return undefined;
  const size = Number(view.getBigUint64(at, true));
  return { digest: fsVerityDigestFrom(record.subarray(KEY_SIZE, at)), size };
}
