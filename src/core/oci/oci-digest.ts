/**
 * Digests of OCI: of blobs as they are stored, of manifests and configs, and, as diff IDs, of layers
 * without compression. They are never fs-verity digests.
 *
 * Source: OCI image-spec 1.1, descriptor.md, "Digests": sha256 and sha512 are registered, lower case.
 */

import { formatHex, parseHex } from "../bytes/hex.ts";
import { ComposefsError } from "../errors.ts";
import { shown } from "./json.ts";

/** The hash functions that we read; what else the specification registers nobody uses. */
export type OciAlgorithm = "sha256" | "sha512";

declare const ociDigestBrand: unique symbol;

/** `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits. */
export type OciDigest = string & { readonly [ociDigestBrand]: true };

const OCI_DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether a text is a digest of OCI. */
export function isOciDigest(text: string): text is OciDigest {
  return OCI_DIGEST.test(text);
}

/** Parses a digest. Throws `invalid-digest`. */
export function parseOciDigest(text: string): OciDigest {
  if (isOciDigest(text)) return text;
  throw new ComposefsError(
    "invalid-digest",
    `Cannot parse OCI digest ${shown(text)}: not sha256: and 64, or sha512: and 128 lower-case hexadecimal digits`,
  );
}

/** Makes a digest of what a hash function returned. The number of bytes is the algorithm's. */
export function formatOciDigest(algorithm: OciAlgorithm, hash: Uint8Array): OciDigest {
  return `${algorithm}:${formatHex(hash)}` as OciDigest;
}

/** The hash function of a digest. */
export function ociDigestAlgorithm(digest: OciDigest): OciAlgorithm {
  return digest.startsWith("sha256:") ? "sha256" : "sha512";
}

/** The hexadecimal digits behind the colon. */
export function ociDigestHex(digest: OciDigest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** The 32 or 64 raw bytes. */
export function ociDigestBytes(digest: OciDigest): Uint8Array {
  return parseHex(ociDigestHex(digest))!;
}
