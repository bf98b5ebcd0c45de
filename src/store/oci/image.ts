/**
 * OCI images as a repository has them: the stream of a manifest refers to that of a config, which refers
 * to the streams of the layers and to the EROFS images that were made of them.
 *
 * JSON is believed only where its SHA-256 is the digest by which it was asked for.
 */

import { createHash } from "node:crypto";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseImageConfig } from "../../core/oci/image-config.ts";
import type { ImageConfig } from "../../core/oci/image-config.ts";
import { MANIFEST_SIZE_MAX, parseManifest } from "../../core/oci/manifest.ts";
import type { Manifest } from "../../core/oci/manifest.ts";
import { isConfigMediaType } from "../../core/oci/media-type.ts";
import { isOciDigest, ociDigestAlgorithm, ociDigestHex } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { CONTENT_TYPE } from "../../core/splitstream/format.ts";
import type { Repository } from "../repository.ts";
import { readExternalStream } from "./external-stream.ts";
import type { ExternalStream } from "./external-stream.ts";
import {
  configStreamName,
  erofsRefName,
  isErofsRefName,
  manifestOfStreamName,
  manifestStreamName,
  tagRef,
} from "./names.ts";
import type { ErofsVariant } from "./names.ts";

/** A layer of an image, or a blob of an artifact. */
export interface OciLayer {
  /** What the manifest says of it. */
  readonly descriptor: Descriptor;
  /** Its digest without compression; of an artifact's blob the blob's digest. */
  readonly diffId: OciDigest;
  /** Its stream. */
  readonly stream: FsVerityDigest;
}

/** An OCI image, or an artifact, in a repository. */
export interface OciImage {
  readonly manifestDigest: OciDigest;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly manifestStream: FsVerityDigest;
  readonly configDigest: OciDigest;
  /** `undefined` for an artifact. */
  readonly config: ImageConfig | undefined;
  readonly configBytes: Uint8Array;
  readonly configStream: FsVerityDigest;
  /** The lowest first. */
  readonly layers: readonly OciLayer[];
  /** The EROFS images by the names that they have in the config's stream. */
  readonly erofs: ReadonlyMap<ByteString, FsVerityDigest>;
}

/** Largest config: some have megabytes of labels. */
const CONFIG_SIZE_MAX = 1 << 24;

/**
 * Opens the image that a tag, or `@sha256:…` of a manifest, names. Throws `not-in-repository`, and
 * `object-corrupt`, `corrupt-stream` or `invalid-manifest` where the repository is damaged.
 */
export function openOciImage(
  repo: Repository,
  reference: ByteString,
  decompression: Decompression,
): OciImage {
  return openManifest(repo, resolveReference(repo, reference), decompression);
}

/** The digest of the manifest that a tag, or `@sha256:…`, names. Throws `not-in-repository`. */
export function resolveReference(repo: Repository, reference: ByteString): OciDigest {
  if (reference.startsWith("@")) {
    const digest = reference.slice(1);
    if (isOciDigest(digest)) return digest;
    throw new ComposefsError(
      "invalid-reference",
      `Cannot find image "${displayText(reference)}": what follows @ is not a sha256 or sha512 digest`,
    );
  }
  const target = repo.readRef("streams", tagRef(reference));
  const digest = target === undefined ? undefined : manifestOfStreamName(target);
  if (digest !== undefined) return digest;
  throw new ComposefsError(
    "not-in-repository",
    target === undefined
      ? `Cannot find image "${displayText(reference)}": no tag of this name is in the repository`
      : `Cannot find image "${displayText(reference)}": its tag leads to what is no manifest`,
    { hint: "`composefs images` lists the tags; a digest is written @sha256:…" },
  );
}

/** Opens an image by the digest of its manifest. Throws as {@link openOciImage}. */
export function openManifest(
  repo: Repository,
  manifestDigest: OciDigest,
  decompression: Decompression,
): OciImage {
  const manifestStream = readExternalStream(
    repo,
    manifestStreamName(manifestDigest),
    CONTENT_TYPE.ociManifest,
    decompression,
    MANIFEST_SIZE_MAX,
  );
  assertOciDigest("manifest", manifestStream.bytes, manifestDigest);
  const manifest = parseManifest(manifestStream.bytes);
  const configDigest = manifest.config.digest;
  const configStream = readConfig(repo, configDigest, decompression);
  const config = isConfigMediaType(manifest.config.mediaType)
    ? parseImageConfig(configStream.bytes)
    : undefined;
  const refs = config === undefined ? manifestStream.refs : configStream.refs;
  return {
    manifestDigest,
    manifest,
    manifestBytes: manifestStream.bytes,
    manifestStream: manifestStream.digest,
    configDigest,
    config,
    configBytes: configStream.bytes,
    configStream: configStream.digest,
    layers: layersOf(manifest, config, refs),
    erofs: erofsOf(configStream.refs),
  };
}

function readConfig(
  repo: Repository,
  digest: OciDigest,
  decompression: Decompression,
): ExternalStream {
  const stream = readExternalStream(
    repo,
    configStreamName(digest),
    CONTENT_TYPE.ociConfig,
    decompression,
    CONFIG_SIZE_MAX,
  );
  assertOciDigest("config", stream.bytes, digest);
  return stream;
}

function erofsOf(refs: ReadonlyMap<ByteString, FsVerityDigest>): Map<ByteString, FsVerityDigest> {
  return new Map([...refs].filter(([name]) => isErofsRefName(name)));
}

/** The diff IDs of an image's layers, or the digests of an artifact's blobs. Throws `invalid-manifest`. */
export function diffIdsOf(
  manifest: Manifest,
  config: ImageConfig | undefined,
): readonly OciDigest[] {
  if (config === undefined) return manifest.layers.map(({ digest }) => digest);
  if (config.diffIds.length === manifest.layers.length) return config.diffIds;
  throw new ComposefsError(
    "invalid-manifest",
    `Cannot use OCI image: its config has ${config.diffIds.length} diff IDs, and its manifest ${manifest.layers.length} layers`,
  );
}

function layersOf(
  manifest: Manifest,
  config: ImageConfig | undefined,
  refs: ReadonlyMap<ByteString, FsVerityDigest>,
): OciLayer[] {
  return diffIdsOf(manifest, config).map((diffId, index) => {
    const stream = refs.get(diffId as string as ByteString);
    if (stream === undefined) {
      throw new ComposefsError(
        "corrupt-stream",
        `Cannot read OCI image: its stream does not refer to layer ${diffId}`,
        { hint: "pull the image again" },
      );
    }
    return { descriptor: manifest.layers[index]!, diffId, stream };
  });
}

/** Throws `object-corrupt` unless the digest is that of the bytes. */
export function assertOciDigest(what: string, bytes: Uint8Array, digest: OciDigest): void {
  const actual = createHash(ociDigestAlgorithm(digest)).update(bytes).digest("hex");
  if (actual === ociDigestHex(digest)) return;
  throw new ComposefsError(
    "object-corrupt",
    `Cannot read ${what} ${digest}: the repository has other content under this name`,
    { hint: "pull the image again" },
  );
}

/** The EROFS image of a variant, if it was made. */
export function findErofs(image: OciImage, variant: ErofsVariant): FsVerityDigest | undefined {
  return image.erofs.get(erofsRefName(variant));
}

/** Opens an image by the digest of its manifest; `undefined` where it is not there, or damaged. */
export function findImage(
  repo: Repository,
  manifestDigest: OciDigest,
  decompression: Decompression,
): OciImage | undefined {
  return unlessDamaged(() => openManifest(repo, manifestDigest, decompression));
}

/** A config that is in the repository. */
export interface FoundConfig {
  readonly bytes: Uint8Array;
  readonly erofs: ReadonlyMap<ByteString, FsVerityDigest>;
}

/** Reads a config; `undefined` where it is not there, or damaged. */
export function findConfig(
  repo: Repository,
  digest: OciDigest,
  decompression: Decompression,
): FoundConfig | undefined {
  return unlessDamaged(() => {
    const { bytes, refs } = readConfig(repo, digest, decompression);
    return { bytes, erofs: erofsOf(refs) };
  });
}

function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ComposefsError && DAMAGE.has(error.code)) return undefined;
    throw error;
  }
}

/** What a pull makes good. */
const DAMAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "not-in-repository",
  "object-missing",
  "object-corrupt",
  "corrupt-stream",
  "invalid-manifest",
  "repository-invalid",
]);
