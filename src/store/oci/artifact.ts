/** Artifacts that are about an image, as a repository has them: its seals, say. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { parseManifest } from "../../core/oci/manifest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { CONTENT_TYPE } from "../../core/splitstream/format.ts";
import type { Zstd } from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";
import type { Transaction } from "../transaction.ts";
import { readExternalStream } from "./external-stream.ts";
import { assertOciDigest } from "./image.ts";
import { layerStreamName, manifestStreamName, referrerRef, tagRef } from "./names.ts";
import { putBlobStream, putConfig, putManifest } from "./write-image.ts";
import type { OciBytes } from "./write-image.ts";

/** An artifact to be stored. */
export interface NewArtifact {
  readonly manifest: OciBytes;
  /** What the manifest names, its config too. */
  readonly blobs: readonly OciBytes[];
}

/**
 * Stores an artifact, as a referrer of the manifest that it is about. Returns the digest of the stream.
 * Throws `invalid-manifest`.
 */
export function putArtifact(
  transaction: Transaction,
  { manifest, blobs }: NewArtifact,
  tag: ByteString | undefined,
  zstd: Zstd,
): FsVerityDigest {
  const { config, layers, subject } = parseManifest(manifest.bytes);
  const bytesOf = new Map(blobs.map(({ digest, bytes }) => [digest, bytes] as const));
  const configStream = putConfig(
    transaction,
    { digest: config.digest, bytes: bytesOf.get(config.digest)! },
    [],
    new Map(),
    zstd,
  );
  const streams = layers.map(({ digest }) => {
    const object = transaction.objects.put(bytesOf.get(digest)!);
    const { length } = bytesOf.get(digest)!;
    return {
      diffId: digest,
      stream: putBlobStream(transaction, digest, object.digest, length, zstd),
    };
  });
  const ofConfig = { digest: config.digest, stream: configStream };
  const stream = putManifest(transaction, manifest, ofConfig, streams, zstd);
  const name = manifestStreamName(manifest.digest);
  if (subject !== undefined) {
    transaction.setRef("streams", referrerRef(subject.digest, manifest.digest), name);
  }
  if (tag !== undefined) transaction.setRef("streams", tagRef(tag), name);
  return stream;
}

/** Reads a blob of an artifact. Throws `not-in-repository`, `corrupt-stream`, `object-corrupt`. */
export function readBlob(
  repo: Repository,
  digest: OciDigest,
  decompression: Decompression,
  maxBytes: number,
): Uint8Array {
  const name = layerStreamName(digest);
  const { bytes } = readExternalStream(repo, name, CONTENT_TYPE.ociBlob, decompression, maxBytes);
  assertOciDigest("blob", bytes, digest);
  return bytes;
}
