/** The EROFS images of an image whose layers have just come, or lie in the repository. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { memorySource } from "../../core/bytes/source.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { computeFsVerityDigest } from "../../core/fsverity/hasher.ts";
import type { LayerDirectory } from "../../core/oci/layer.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { openSplitStream } from "../../core/splitstream/reader.ts";
import { blockHash } from "../../floor/mod.ts";
import type { Zstd } from "../../floor/mod.ts";
import {
  composeRootfs,
  contentReader,
  erofsRefName,
  readLayerTree,
  readRepositoryLayer,
  writeErofsImages,
} from "../../store/mod.ts";
import type { ComposeOptions, ErofsVariant, Transaction } from "../../store/mod.ts";
import type { PullContext } from "./context.ts";
import type { ImportedLayer } from "./import-layers.ts";
import type { LayerLimits } from "./limits.ts";
import type { PulledErofs } from "./options.ts";

/** What the EROFS images are made of, and where they go. */
export interface ComposeWork extends PullContext {
  readonly transaction: Transaction;
  /** The lowest first. */
  readonly diffIds: readonly OciDigest[];
  readonly imported: ReadonlyMap<OciDigest, ImportedLayer>;
  /** See `ImportedLayers`. */
  readonly published: Promise<void>;
}

/** Makes EROFS images; returns them with the names that they get in the config's stream. */
export async function composePulled(
  work: ComposeWork,
  variants: readonly ErofsVariant[],
): Promise<Map<ByteString, PulledErofs>> {
  const layers = readTrees(work);
  const made = new Map<ByteString, PulledErofs>();
  for (const bootable of [false, true]) {
    const wanted = variants.filter((variant) => variant.bootable === bootable);
    if (wanted.length === 0) continue;
    const compose: ComposeOptions = bootable ? await bootOptions(work) : {};
    const root = composeRootfs(layers, compose);
    const images = writeErofsImages(
      root,
      wanted.map(({ version }) => version),
    );
    for (const variant of wanted) {
      const digest = work.transaction.putImage(images.get(variant.version)!);
      made.set(erofsRefName(variant), { ...variant, digest });
    }
  }
  return made;
}

/** The digest of an EROFS image that is not to be kept. */
export async function digestUnmade(
  work: ComposeWork,
  { version, bootable, keepUserXattrs }: ErofsVariant,
): Promise<FsVerityDigest> {
  const compose = bootable ? { ...(await bootOptions(work)), keepUserXattrs } : {};
  const image = writeErofsImages(composeRootfs(readTrees(work), compose), [version]).get(version)!;
  return computeFsVerityDigest(image, blockHash(work.repo.algorithm));
}

function readTrees(work: ComposeWork): LayerDirectory[] {
  const trees = new Map<OciDigest, LayerDirectory>();
  for (const diffId of new Set(work.diffIds)) trees.set(diffId, readTree(work, diffId));
  return work.diffIds.map((diffId) => trees.get(diffId)!);
}

async function bootOptions({
  repo,
  transaction,
  published,
  options,
}: ComposeWork): Promise<ComposeOptions> {
  // The policy that labels it is in files of the image, which can be read when their objects have names.
  await published;
  await transaction.commit();
  const { keepUserXattrs = false } = options;
  return { bootable: true, keepUserXattrs, readContent: contentReader(repo) };
}

/** Reads the tree of a layer that has just come; `undefined` where that fails, to be told by `composePulled`. */
export function readImportedTree(
  layer: Pick<ImportedLayer, "stream" | "sparseFiles">,
  zstd: Zstd,
  limits: LayerLimits,
): LayerDirectory | undefined {
  try {
    return readSplitTree(layer, zstd, limits);
  } catch (error) {
    if (error instanceof ComposefsError) return undefined;
    throw error;
  }
}

function readTree(
  { repo, zstd, limits, imported }: ComposeWork,
  diffId: OciDigest,
): LayerDirectory {
  const layer = imported.get(diffId);
  if (layer === undefined) return readRepositoryLayer(repo, diffId, zstd, limits);
  return layer.tree ?? readSplitTree(layer, zstd, limits);
}

function readSplitTree(
  layer: Pick<ImportedLayer, "stream" | "sparseFiles">,
  zstd: Zstd,
  limits: LayerLimits,
): LayerDirectory {
  let next = 0;
  return readLayerTree(openSplitStream(memorySource(layer.stream)), {
    decompression: zstd,
    tar: limits,
    maxNodes: limits.entries,
    expandSparse: () => sparseFile(layer.sparseFiles[next++]),
  });
}

function sparseFile(digest: FsVerityDigest | undefined): FsVerityDigest {
  if (digest === undefined)
    throw new ComposefsError("corrupt-stream", "Cannot read layer: a sparse file is missing");
  return digest;
}
