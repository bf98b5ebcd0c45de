/**
 * The bytes that an fs-verity signature is made over.
 *
 * Source: include/uapi/linux/fsverity.h, struct fsverity_formatted_digest.
 */

import { DIGEST_SIZE, FS_VERITY_HASH_ALG, digestAlgorithm, writeDigest } from "./digest.ts";
import type { FsVerityDigest } from "./digest.ts";

const MAGIC = "FSVerity";
const HEADER_SIZE = 12;

/** Returns magic, algorithm and size, both 16 bits little-endian, and the digest. */
export function formattedDigest(digest: FsVerityDigest): Uint8Array {
  const algorithm = digestAlgorithm(digest);
  const size = DIGEST_SIZE[algorithm];
  const bytes = new Uint8Array(HEADER_SIZE + size);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  view.setUint16(8, FS_VERITY_HASH_ALG[algorithm], true);
  view.setUint16(10, size, true);
  writeDigest(digest, bytes, HEADER_SIZE);
  return bytes;
}
