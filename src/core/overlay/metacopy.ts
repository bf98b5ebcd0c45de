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
  fsVerityDigestFrom,
  writeDigest,
} from "../fsverity/digest.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";

/** Bytes before the digest. */
export const METACOPY_HEADER_SIZE = 4;

/** Encodes a digest as the xattr's value. */
export function encodeMetacopy(digest: FsVerityDigest): Uint8Array {
  const value = new Uint8Array(METACOPY_HEADER_SIZE + digest.length / 2);
  writeMetacopy(digest, value, 0);
  return value;
}

/** Writes the value into `target` at `offset`. */
export function writeMetacopy(digest: FsVerityDigest, target: Uint8Array, offset: number): void {
  target[offset] = 0; // version
  target[offset + 1] = METACOPY_HEADER_SIZE + digest.length / 2;
  target[offset + 2] = 0; // flags
  target[offset + 3] = FS_VERITY_HASH_ALG[digestAlgorithm(digest)];
  writeDigest(digest, target, offset + METACOPY_HEADER_SIZE);
}

/** Decodes the xattr's value: a digest, "none" for the empty value, or `undefined` if it is malformed. */
export function decodeMetacopy(value: Uint8Array): FsVerityDigest | "none" | undefined {
  if (value.length === 0) return "none";
  if (
    value.length < METACOPY_HEADER_SIZE ||
    value[0] !== 0 ||
    value[1] !== value.length ||
    value[2] !== 0
  ) {
    return undefined;
  }
  for (const algorithm of ["sha256", "sha512"] as const) {
    const matches =
      value[3] === FS_VERITY_HASH_ALG[algorithm] &&
      value.length === METACOPY_HEADER_SIZE + DIGEST_SIZE[algorithm];
    if (matches) return fsVerityDigestFrom(value.subarray(METACOPY_HEADER_SIZE));
  }
  return undefined;
}
