/**
 * The value of `trusted.overlay.metacopy`: the fs-verity digest of the backing file.
 *
 * Source: Linux fs/overlayfs/overlayfs.h, `struct ovl_metacopy`: version 0, length of the whole,
 * flags 0, digest algorithm, digest. An empty value means "no digest".
 */

import {
  DIGEST_SIZE,
  FS_VERITY_HASH_ALG,
  digestAlgorithm,
  digestBytes,
  fsVerityDigestFrom,
} from "../fsverity/digest.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";

const HEADER_SIZE = 4;

/** Encodes a digest, or nothing, as the xattr's value. */
export function encodeMetacopy(digest: FsVerityDigest | undefined): Uint8Array {
  if (digest === undefined) return new Uint8Array(0);
  const bytes = digestBytes(digest);
  const value = new Uint8Array(HEADER_SIZE + bytes.length);
  value[1] = value.length;
  value[3] = FS_VERITY_HASH_ALG[digestAlgorithm(digest)];
  value.set(bytes, HEADER_SIZE);
  return value;
}

/** Decodes the xattr's value: a digest, "none" for the empty value, or `undefined` if it is malformed. */
export function decodeMetacopy(value: Uint8Array): FsVerityDigest | "none" | undefined {
  if (value.length === 0) return "none";
  if (value.length < HEADER_SIZE || value[0] !== 0 || value[1] !== value.length || value[2] !== 0) {
    return undefined;
  }
  for (const algorithm of ["sha256", "sha512"] as const) {
    const matches =
      value[3] === FS_VERITY_HASH_ALG[algorithm] &&
      value.length === HEADER_SIZE + DIGEST_SIZE[algorithm];
    if (matches) return fsVerityDigestFrom(value.subarray(HEADER_SIZE));
  }
  return undefined;
}
