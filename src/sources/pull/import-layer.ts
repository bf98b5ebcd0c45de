/**
 * One layer from its source into the repository: fetched, verified, taken apart.
 *
 * The blob is verified by its source while it streams, the archive by its diff ID in the thread that
 * takes it apart. Only when both are right the layer may get a name; objects of a large one have theirs
 * before that, which are the digests of what they hold, and are garbage where it turns out to be none.
 */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { layerCompression } from "../../core/oci/media-type.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { decompressLayer } from "../decompress.ts";
import type { ImageSource } from "../image-source.ts";
import type { LayerFrame } from "./layer-frames.ts";
import type { LayerPool } from "./layer-pool.ts";
import type { WorkedLayer } from "./layer-task.ts";
import { checkRatio } from "./limits.ts";
import type { LayerLimits } from "./limits.ts";

/** A layer that is not in the repository. */
export interface WantedLayer {
  readonly source: ImageSource;
  readonly descriptor: Descriptor;
  readonly diffId: OciDigest;
}

/** What everyone who gets a layer is given. */
export interface ImportContext {
  readonly limits: LayerLimits;
  readonly signal: AbortSignal | undefined;
  /** Takes the bytes of the blob that have been fetched so far. */
  readonly onFetched: (bytes: number) => void;
}

/**
 * A way to get a layer: yields its archive bit for bit, or returns `undefined` where the way does not
 * lead to this one. Nothing of it is believed before its diff ID is right.
 */
export type LayerImporter = (
  layer: WantedLayer,
  context: ImportContext,
) => Promise<AsyncIterable<LayerFrame> | undefined>;

/** Imports a layer. Throws `content-mismatch`, `unsupported-media-type`, `corrupt-tar`, `layer-limit`, … */
export async function importLayer(
  pool: LayerPool,
  layer: WantedLayer,
  context: ImportContext,
  importers: readonly LayerImporter[] = [],
): Promise<WorkedLayer> {
  // Also what a way costs that turns out to be none is fetched.
  const counter = new FetchedCounter(context);
  for (const importer of [...importers, importOpenLayer]) {
    const frames = await importer(layer, counter.next());
    if (frames !== undefined) return pool.run(layer.diffId, () => frames);
  }
  return pool.run(layer.diffId, () => unpackBlob(layer, counter.next()));
}

/** Adds up what several ways to get a layer fetch one after the other. */
class FetchedCounter {
  readonly #context: ImportContext;
  #total = 0;

  constructor(context: ImportContext) {
    this.#context = context;
  }

  /** What the next way is given: it counts from 0. */
  next(): ImportContext {
    const before = this.#total;
    return {
      ...this.#context,
      onFetched: (bytes) => {
        this.#total = before + bytes;
        this.#context.onFetched(this.#total);
      },
    };
  }
}

/** A layer whose files lie on this machine. */
async function importOpenLayer(
  { source, descriptor, diffId }: WantedLayer,
  { signal }: ImportContext,
): Promise<AsyncIterable<LayerFrame> | undefined> {
  return source.openLayer?.(descriptor, diffId, { signal });
}

async function* unpackBlob(
  { source, descriptor }: WantedLayer,
  context: ImportContext,
): AsyncGenerator<LayerFrame, void> {
  const compression = layerCompression(descriptor.mediaType);
  if (compression === undefined) {
    throw new ComposefsError(
      "unsupported-media-type",
      `Cannot use layer ${descriptor.digest}: "${descriptor.mediaType}" is no layer of files`,
    );
  }
  let fetched = 0;
  const blob = async function* (): AsyncGenerator<Uint8Array, void> {
    for await (const bytes of source.openBlob(descriptor, { signal: context.signal })) {
      fetched += bytes.length;
      context.onFetched(fetched);
      yield bytes;
    }
  };
  let unpacked = 0;
  for await (const bytes of decompressLayer(blob(), compression)) {
    unpacked += bytes.length;
    checkRatio(unpacked, fetched, context.limits);
    yield { kind: "tar", bytes };
  }
}
