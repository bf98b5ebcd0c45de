/** Documents of OCI for tests: valid ones to start from. */

import { createHash } from "node:crypto";
import { MEDIA_TYPE, formatOciDigest } from "#src/core/mod.ts";
import type { Descriptor, OciAlgorithm, OciDigest } from "#src/core/mod.ts";

/** The digest of a content. */
export function ociDigestOf(
  content: Uint8Array | string,
  algorithm: OciAlgorithm = "sha256",
): OciDigest {
  return formatOciDigest(algorithm, createHash(algorithm).update(content).digest());
}

/** A descriptor of a content. */
export function descriptorOf(
  content: Uint8Array | string,
  mediaType: string,
  algorithm: OciAlgorithm = "sha256",
): Descriptor {
  const size = Buffer.byteLength(content);
  return { mediaType, digest: ociDigestOf(content, algorithm), size, annotations: {} };
}

/** JSON as bytes. */
export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** The parts of a manifest with two layers. */
export function sampleManifest(): {
  schemaVersion: number;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
} {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: descriptorOf("config", MEDIA_TYPE.ociConfig),
    layers: [
      descriptorOf("lower", `${MEDIA_TYPE.ociLayer}+gzip`),
      descriptorOf("upper", `${MEDIA_TYPE.ociLayer}+zstd`, "sha512"),
    ],
  };
}
