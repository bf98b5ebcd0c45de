/** All layers of an image, or blobs of an artifact, into the repository: several at once, the largest first. */

import { availableParallelism } from "node:os";

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import type { LayerDirectory } from "../../core/oci/layer.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { layerStreamName } from "../../store/mod.ts";
import type { StagingStats, Transaction } from "../../store/mod.ts";
import { chunkedImporter } from "../chunked/mod.ts";
import type { ChunkedDecision } from "../chunked/mod.ts";
import { readImportedTree } from "./compose-pulled.ts";
import type { FetchContext } from "./context.ts";
import { importLayer } from "./import-layer.ts";
import type { WantedLayer } from "./import-layer.ts";
import { LayerPool } from "./layer-pool.ts";
import type { ContentPair } from "./layer-task.ts";
import { pullBlob } from "./pull-blobs.ts";
import { StagedPublisher } from "./staged-publisher.ts";
import { emptyStats } from "./stats.ts";

/** A layer that has to be fetched, and its place in the manifest. */
export interface MissingLayer extends WantedLayer {
  readonly index: number;
}

/** A layer that has been fetched. */
export interface ImportedLayer {
  readonly streamDigest: FsVerityDigest;
  /** Bytes that were fetched. */
  readonly fetched: number;
  /** Bytes of the archive, uncompressed. */
  readonly size: number;
  readonly entries: number;
  readonly objects: StagingStats;
  readonly contents: readonly ContentPair[];
  /** Its splitstream, and the sparse files in it; see `SplitLayer`. */
  readonly stream: Uint8Array;
  readonly sparseFiles: readonly FsVerityDigest[];
  /** What is in it, where it was read while other layers came. */
  readonly tree: LayerDirectory | undefined;
  readonly chunked: ChunkedDecision | undefined;
}

/** Layers that were taken apart and verified. */
export interface ImportedLayers {
  readonly imported: Map<OciDigest, ImportedLayer>;
  /**
   * Fulfilled when no objects are on their way any more: these are durable and named, or, where they are few,
   * left to the transaction. That may be given more meanwhile; it is neither to be committed nor discarded.
   */
  readonly published: Promise<void>;
}

/** While one layer waits for its disk, the others go on. */
const LAYERS_AT_ONCE_MIN = 3;

/**
 * Imports layers into a transaction. When one fails, those that are complete by then are committed, so
 * that the next try need not fetch them, and the error is thrown.
 */
export async function importLayers(
  { repo, zstd, source, limits, options, contents }: FetchContext,
  transaction: Transaction,
  layers: readonly MissingLayer[],
  kind: "layers" | "blobs",
): Promise<ImportedLayers> {
  const imported = new Map<OciDigest, ImportedLayer>();
  if (layers.length === 0) return { imported, published: Promise.resolve() };
  const { layersAtOnce = Math.max(LAYERS_AT_ONCE_MIN, availableParallelism()) } = options;
  const lanes = Math.min(layersAtOnce, layers.length);
  const stop = new AbortController();
  const publisher = new StagedPublisher(transaction.objects, (error) => stop.abort(error));
  const config = { objects: repo.objects, limits, debt: publisher.debt.memory };
  const pool = new LayerPool(config, lanes, (staged) => publisher.take(staged));
  const { signal } =
    options.signal === undefined
      ? stop
      : { signal: AbortSignal.any([stop.signal, options.signal]) };
  const importers = [...(options.importers ?? [])];
  const decisions = new Map<OciDigest, ChunkedDecision>();
  const onDecision = ({ digest }: Descriptor, decision: ChunkedDecision): void => {
    decisions.set(digest, decision);
    const layer = layers.find(({ descriptor }) => descriptor.digest === digest);
    if (layer !== undefined)
      options.onProgress?.({ kind: "chunked", index: layer.index, decision });
  };
  if (options.partial !== false) importers.push(chunkedImporter({ contents, onDecision }));
  const queue = [...layers].sort((a, b) => b.descriptor.size - a.descriptor.size);

  async function importNext(layer: MissingLayer): Promise<void> {
    let fetched = 0;
    const onFetched = (bytes: number): void => {
      fetched = bytes;
      options.onProgress?.({ kind: "progress", index: layer.index, fetched });
    };
    if (kind === "blobs") {
      const work = { source, transaction, zstd, signal };
      const streamDigest = await pullBlob(work, layer.descriptor, onFetched);
      imported.set(layer.diffId, { ...NO_LAYER, streamDigest, fetched, size: fetched });
    } else {
      const worked = await importLayer(pool, layer, { limits, signal, onFetched }, importers);
      const streamDigest = transaction.putStream(layerStreamName(layer.diffId), worked.stream);
      // When the last layer is there, this thread has nothing else to do.
      const isLast = imported.size + 1 === layers.length;
      const tree = isLast ? undefined : readImportedTree(worked, zstd, limits);
      const chunked = decisions.get(layer.descriptor.digest);
      imported.set(layer.diffId, { ...worked, streamDigest, fetched, tree, chunked });
    }
    // What lies on this machine is not fetched at all.
    const saved = source.openLayer === undefined ? Math.max(0, layer.descriptor.size - fetched) : 0;
    options.onProgress?.({ kind: "layer-done", index: layer.index, saved });
  }

  async function runLane(): Promise<void> {
    try {
      for (let layer = queue.shift(); layer !== undefined; layer = queue.shift()) {
        signal.throwIfAborted();
        await importNext(layer);
      }
    } catch (error) {
      stop.abort(error);
    }
  }

  try {
    await Promise.all(Array.from({ length: lanes }, runLane));
    if (!stop.signal.aborted) {
      const published = publisher.finish();
      published.catch(() => {}); // Whoever called hears it when they ask.
      return { imported, published };
    }
    // The error that led here tells more than one of saving what is left.
    await publisher.settle().catch(() => {});
    if (imported.size > 0 && !publisher.hasFailed) await transaction.commit().catch(() => {});
    throw stop.signal.reason;
  } finally {
    await pool.close();
  }
}

const NO_LAYER = {
  entries: 0,
  objects: emptyStats(),
  contents: [],
  stream: new Uint8Array(0),
  sparseFiles: [],
  tree: undefined,
  chunked: undefined,
} as const;
