/** Writes the streams of manifests, configs and blobs into a transaction. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { CONTENT_TYPE } from "../../core/splitstream/format.ts";
import type { Zstd } from "../../floor/mod.ts";
import type { Transaction } from "../transaction.ts";
import { encodeExternalStream } from "./external-stream.ts";
import type { OciLayer } from "./image.ts";
import { configRefName, configStreamName, layerStreamName, manifestStreamName } from "./names.ts";

type Refs = readonly (readonly [name: ByteString, digest: FsVerityDigest])[];

/** A document with the digest by which OCI knows it. */
export interface OciBytes {
  readonly digest: OciDigest;
  readonly bytes: Uint8Array;
}

/**
 * Stores a config, with references to its layers, in their order, and to the EROFS images made of them.
 * Returns the digest of the stream.
 */
export function putConfig(
  transaction: Transaction,
  config: OciBytes,
  layers: readonly Pick<OciLayer, "diffId" | "stream">[],
  erofs: ReadonlyMap<ByteString, FsVerityDigest>,
  zstd: Zstd,
): FsVerityDigest {
  // composefs-rs has the images in the order of a hash map, which changes from run to run.
  const images = [...erofs].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const refs = [...layerRefs(layers), ...images];
  const name = configStreamName(config.digest);
  return putExternal(transaction, name, CONTENT_TYPE.ociConfig, config.bytes, refs, zstd);
}

/** Stores a manifest, with references to its config and layers. Returns the digest of the stream. */
export function putManifest(
  transaction: Transaction,
  manifest: OciBytes,
  config: { readonly digest: OciDigest; readonly stream: FsVerityDigest },
  layers: readonly Pick<OciLayer, "diffId" | "stream">[],
  zstd: Zstd,
): FsVerityDigest {
  const refs = [[configRefName(config.digest), config.stream] as const, ...layerRefs(layers)];
  const name = manifestStreamName(manifest.digest);
  return putExternal(transaction, name, CONTENT_TYPE.ociManifest, manifest.bytes, refs, zstd);
}

/** Lets an object that was staged be a blob of an artifact. Returns the digest of the stream. */
export function putBlobStream(
  transaction: Transaction,
  digest: OciDigest,
  object: FsVerityDigest,
  size: number,
  zstd: Zstd,
): FsVerityDigest {
  const input = { contentType: CONTENT_TYPE.ociBlob, object, size, refs: [] };
  const { algorithm } = transaction.objects.config;
  const stream = encodeExternalStream(input, algorithm, zstd.compression);
  return transaction.putStream(layerStreamName(digest), stream);
}

function putExternal(
  transaction: Transaction,
  name: ByteString,
  contentType: bigint,
  bytes: Uint8Array,
  refs: Refs,
  zstd: Zstd,
): FsVerityDigest {
  const object = transaction.objects.put(bytes).digest;
  const input = { contentType, object, size: bytes.length, refs };
  const { algorithm } = transaction.objects.config;
  return transaction.putStream(name, encodeExternalStream(input, algorithm, zstd.compression));
}

function layerRefs(layers: readonly Pick<OciLayer, "diffId" | "stream">[]): Refs {
  return layers.map(({ diffId, stream }) => [diffId as string as ByteString, stream]);
}
