/**
 * Pulls an OCI image, or an artifact, into a repository.
 *
 * What is there is not fetched: an image whose manifest, layers and EROFS images are complete costs the
 * one request that tells its digest; a layer is known by its diff ID, whichever image brought it. What is
 * new becomes visible in one transaction, the tag last.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { parseImageConfig } from "../../core/oci/image-config.ts";
import { parseManifest } from "../../core/oci/manifest.ts";
import { isConfigMediaType } from "../../core/oci/media-type.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { loadZstd } from "../../floor/mod.ts";
import {
  ContentIndex,
  diffIdsOf,
  findConfig,
  findImage,
  layerStreamName,
  manifestStreamName,
  noteOrigin,
  putConfig,
  putManifest,
  referrerRef,
  tagRef,
} from "../../store/mod.ts";
import type { ErofsVariant, OciImage, Repository, Transaction } from "../../store/mod.ts";
import type { ImageSource } from "../image-source.ts";
import { composePulled, digestUnmade } from "./compose-pulled.ts";
import type { ComposeWork } from "./compose-pulled.ts";
import type { FetchContext, PullContext } from "./context.ts";
import { findManifest } from "./find-manifest.ts";
import type { FoundManifest } from "./find-manifest.ts";
import { importLayers } from "./import-layers.ts";
import type { ImportedLayer, MissingLayer } from "./import-layers.ts";
import { DEFAULT_LAYER_LIMITS } from "./limits.ts";
import type { PullLayer, PullOptions, PullReport, PulledErofs } from "./options.ts";
import { emptyStats, sumStats } from "./stats.ts";
import { presentErofs, wantedErofs } from "./wanted-erofs.ts";

/**
 * Pulls what `source` names. The caller closes both. Throws what the source throws, `content-mismatch`,
 * `corrupt-tar`, `invalid-layer`, `layer-limit`, `store-failed`, …; nothing that could be mounted is
 * left behind then.
 */
export async function pullImage(
  repo: Repository,
  source: ImageSource,
  options: PullOptions = {},
): Promise<PullReport> {
  if (options.tag !== undefined) tagRef(options.tag); // Refuses what cannot be a tag before any work.
  repo.assertWritable();
  const limits = { ...DEFAULT_LAYER_LIMITS, ...options.limits };
  const zstd = await loadZstd();
  const context: PullContext = { repo, source, zstd, limits, options };
  const found = await findManifest(source, options.platform, options.signal);
  const known = findImage(repo, found.descriptor.digest, zstd);
  const present = known === undefined ? undefined : erofsIfComplete(repo, known, options);
  let report: PullReport;
  if (known !== undefined && present !== undefined) {
    report = await reportKnown(context, known, present);
  } else {
    const transaction = repo.begin();
    const contents = new ContentIndex(repo);
    try {
      report = await pullManifest({ ...context, contents }, transaction, found, known);
    } catch (error) {
      transaction.discard();
      throw error;
    } finally {
      contents.close();
    }
  }
  noteOrigin(repo, report.manifestDigest, options.origin ?? source.name);
  return report;
}

/** The EROFS images of an image that lacks nothing; `undefined` for one that does. */
function erofsIfComplete(
  repo: Repository,
  image: OciImage,
  options: PullOptions,
): readonly PulledErofs[] | undefined {
  if (!image.layers.every(({ stream }) => repo.hasObject(stream))) return undefined;
  if (image.config === undefined) return [];
  return presentErofs(repo, image, wantedErofs(repo, options));
}

async function reportKnown(
  context: PullContext,
  image: OciImage,
  erofs: readonly PulledErofs[],
): Promise<PullReport> {
  const { repo, source, options } = context;
  const { manifestDigest, manifestBytes, manifest, configBytes } = image;
  const transaction = repo.begin();
  const diffIds = image.layers.map(({ diffId }) => diffId);
  const nothing = { imported: new Map<OciDigest, ImportedLayer>(), published: Promise.resolve() };
  const work = { ...context, ...nothing, transaction, diffIds };
  const erofsDigest = digestsOf(work, erofs);
  const documents = { source, manifestDigest, manifestBytes, manifest, configBytes };
  try {
    await options.check?.({ ...documents, erofs, erofsDigest });
    setRefs(transaction, options, manifestDigest, manifest.subject?.digest);
    await transaction.commit();
  } catch (error) {
    transaction.discard();
    throw error;
  }
  return {
    outcome: "up-to-date",
    source: source.name,
    tag: options.tag,
    kind: image.config === undefined ? "artifact" : "image",
    manifestDigest,
    manifestStream: image.manifestStream,
    configDigest: image.configDigest,
    layers: image.layers.map(({ descriptor: { digest, size }, diffId }) => ({
      ...{ digest, size, diffId, isPresent: true },
      ...{ fetched: 0, unpacked: 0, entries: 0, chunked: undefined },
    })),
    erofs,
    objects: emptyStats(),
    layerObjects: emptyStats(),
  };
}

async function pullManifest(
  context: FetchContext,
  transaction: Transaction,
  { descriptor, bytes }: FoundManifest,
  known: OciImage | undefined,
): Promise<PullReport> {
  const { repo, source, zstd, options } = context;
  const { signal } = options;
  const manifestBytes =
    bytes ?? known?.manifestBytes ?? (await source.readManifest(descriptor, { signal }));
  const manifest = parseManifest(manifestBytes, descriptor.mediaType);
  const foundConfig = findConfig(repo, manifest.config.digest, zstd);
  const configBytes =
    foundConfig?.bytes ?? (await source.readManifest(manifest.config, { signal }));
  const isImage = isConfigMediaType(manifest.config.mediaType);
  const diffIds = diffIdsOf(manifest, isImage ? parseImageConfig(configBytes) : undefined);
  const layers = manifest.layers.map(({ digest, size }, index): PullLayer => {
    return { digest, size, isPresent: hasLayer(repo, diffIds[index]!) };
  });
  options.onProgress?.({ kind: "layers", layers });
  const missing = new Map<OciDigest, MissingLayer>();
  for (const [index, diffId] of diffIds.entries()) {
    if (layers[index]!.isPresent || missing.has(diffId)) continue;
    missing.set(diffId, { index, source, diffId, descriptor: manifest.layers[index]! });
  }
  const what = isImage ? "layers" : "blobs";
  const layersToGet = [...missing.values()];
  const { imported, published } = await importLayers(context, transaction, layersToGet, what);

  const work = { ...context, transaction, diffIds, imported, published };
  if (isImage) options.onProgress?.({ kind: "composing" });
  let erofs = new Map<ByteString, PulledErofs>();
  try {
    if (isImage) erofs = await composePulled(work, wantedErofs(repo, options));
  } finally {
    await published;
  }
  const made = [...erofs.values()];
  const manifestDigest = descriptor.digest;
  const documents = { source, manifestDigest, manifestBytes, manifest, configBytes };
  await options.check?.({ ...documents, erofs: made, erofsDigest: digestsOf(work, made) });

  const streams = diffIds.map((diffId) => ({
    diffId,
    stream: imported.get(diffId)?.streamDigest ?? repo.streamDigest(layerStreamName(diffId))!,
  }));
  const config = { digest: manifest.config.digest, bytes: configBytes };
  const digests = [...erofs].map(([name, { digest }]) => [name, digest] as const);
  // Other images may share the config, and have EROFS images that were not asked for now.
  const allErofs = new Map([...(foundConfig?.erofs ?? []), ...digests]);
  // Artifacts share one empty config: what it refers to cannot be theirs.
  const ofConfig = isImage ? streams : [];
  const configStream = putConfig(transaction, config, ofConfig, allErofs, zstd);
  const manifestStream = putManifest(
    transaction,
    { digest: manifestDigest, bytes: manifestBytes },
    { digest: config.digest, stream: configStream },
    streams,
    zstd,
  );
  setRefs(transaction, options, manifestDigest, manifest.subject?.digest);
  options.onProgress?.({ kind: "committing" });
  await transaction.commit();
  for (const layer of imported.values()) {
    for (const { sha256, digest, size } of layer.contents) {
      context.contents.add(sha256, digest, size);
    }
  }
  context.contents.flush();
  const counts = [...imported.values()].map(({ objects }) => objects);
  return {
    outcome: "pulled",
    source: source.name,
    tag: options.tag,
    kind: isImage ? "image" : "artifact",
    manifestDigest,
    manifestStream,
    configDigest: config.digest,
    layers: layers.map((layer, index) => {
      const diffId = diffIds[index]!;
      const got = imported.get(diffId);
      const { fetched = 0, size: unpacked = 0, entries = 0, chunked } = got ?? {};
      return { ...layer, diffId, fetched, unpacked, entries, chunked };
    }),
    erofs: made,
    objects: sumStats([...counts, transaction.objects.stats]),
    layerObjects: sumStats(counts),
  };
}

/** Gives digests of EROFS images: of those that are there, else computed. */
function digestsOf(
  work: ComposeWork,
  erofs: readonly PulledErofs[],
): (variant: ErofsVariant) => Promise<FsVerityDigest> {
  return async (variant) => {
    const { version, bootable, keepUserXattrs } = variant;
    // What is there was made as the options say.
    const isThere = !bootable || keepUserXattrs === (work.options.keepUserXattrs ?? false);
    const there = erofs.find((each) => each.version === version && each.bootable === bootable);
    return isThere && there !== undefined ? there.digest : digestUnmade(work, variant);
  };
}

/** A layer whose stream is there; what the stream needs is the business of fsck. */
function hasLayer(repo: Repository, diffId: OciDigest): boolean {
  const stream = repo.streamDigest(layerStreamName(diffId));
  return stream !== undefined && repo.hasObject(stream);
}

function setRefs(
  transaction: Transaction,
  { tag }: PullOptions,
  manifestDigest: OciDigest,
  subject: OciDigest | undefined,
): void {
  const stream = manifestStreamName(manifestDigest);
  if (tag !== undefined) transaction.setRef("streams", tagRef(tag), stream);
  if (subject !== undefined) {
    transaction.setRef("streams", referrerRef(subject, manifestDigest), stream);
  }
}
