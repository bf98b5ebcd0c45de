/**
 * Names of the annotations that seal an image: `composefs.merged.erofs.v1.fsverity-sha512-12`.
 *
 * Source: composefs-rs 0.9, sealing specification, "Annotation key scheme".
 */

import type { FsVerityAlgorithm } from "../fsverity/digest.ts";

/**
 * What a digest is of: the manifest or the config, byte for byte; the EROFS image of one layer, of the
 * merged layers, or of what of these is booted.
 */
export type SealRole = "manifest" | "config" | "layer" | "merged" | "merged.bootable";

/** An annotation of a seal. */
export interface SealKey {
  readonly role: SealRole;
  /** Of the roles that are EROFS images; for the others `undefined`. */
  readonly erofsVersion: number | undefined;
  readonly algorithm: FsVerityAlgorithm;
  /** 12 or 16. */
  readonly lgBlockSize: number;
  /** Whether the value is a signature over the digest, and not the digest. */
  readonly isSignature: boolean;
}

/** The version of EROFS images that every seal has. */
export const SEALED_EROFS_VERSION = 1;
/** The only block size that composefs has. */
export const SEALED_LG_BLOCK_SIZE = 12;

/** What all keys of seals begin with. */
const PREFIX = "composefs.";
const KEY =
  /^composefs\.(?:(manifest|config)|(layer|merged|merged\.bootable)\.erofs\.v([1-9]\d{0,3}))\.fsverity-(sha256|sha512)-(12|16)(\.sig)?$/;

/** Writes the key of what is sealed in the version and block size that there is. */
export function formatSealKey(
  role: SealRole,
  algorithm: FsVerityAlgorithm,
  kind: "digest" | "signature" = "digest",
): string {
  const erofs = role === "manifest" || role === "config" ? "" : `.erofs.v${SEALED_EROFS_VERSION}`;
  const suffix = kind === "signature" ? ".sig" : "";
  return `${PREFIX}${role}${erofs}.fsverity-${algorithm}-${SEALED_LG_BLOCK_SIZE}${suffix}`;
}

/** Reads a key; `undefined` for annotations of others, and of versions to come. */
export function parseSealKey(text: string): SealKey | undefined {
  const match = KEY.exec(text);
  if (match === null) return undefined;
  const [, document, image, version, algorithm, lgBlockSize, suffix] = match;
  return {
    role: (document ?? image) as SealRole,
    erofsVersion: version === undefined ? undefined : Number(version),
    algorithm: algorithm as FsVerityAlgorithm,
    lgBlockSize: Number(lgBlockSize),
    isSignature: suffix !== undefined,
  };
}
