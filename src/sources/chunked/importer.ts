/**
 * Partial pulls: a zstd:chunked layer of which only those files are fetched that the repository lacks.
 *
 * Nothing is believed on the way that a whole pull would not believe. The manifest vouches for the table of
 * contents, that for the tar-split and for each file; and at the end the diff ID must be right over the whole
 * archive, reused files included, which are read for it. Where something does not fit this is an error, and
 * never a reason to go another way unasked; see docs/decisions/0064-partial-pulls.md.
 */

import { parseChunkedAnnotations } from "../../core/chunked/positions.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { layerCompression } from "../../core/oci/media-type.ts";
import { loadZstd } from "../../floor/mod.ts";
import type { ImageSource } from "../image-source.ts";
import { NoRangesError } from "../no-ranges.ts";
import { checkRatio } from "../pull/limits.ts";
import type { LayerLimits } from "../pull/limits.ts";
import { chunkedFrames } from "./frames.ts";
import type { ChunkedFrame } from "./frames.ts";
import { planPartialPull } from "./plan.ts";
import type { ContentFinder } from "./plan.ts";
import { RangeReader, bytesOfRanges, mergeRanges } from "./ranges.ts";
import { readChunkedIndex } from "./read-index.ts";
import type { ChunkedIndex } from "./read-index.ts";

/** How a zstd:chunked layer is pulled. */
export type ChunkedDecision =
  | {
      readonly way: "partial";
      /** Bytes of the blob that are fetched, table of contents included. */
      readonly needed: number;
      /** Files of the layer that the repository has, and their bytes. */
      readonly reused: { readonly files: number; readonly bytes: number };
    }
  /** All of the blob is fetched. `reason` is a clause, for people. */
  | { readonly way: "whole"; readonly reason: string };

/** Options of {@link chunkedImporter}. */
export interface ChunkedImporterOptions {
  /** What the repository has. */
  readonly contents: ContentFinder;
  /** Hears of each zstd:chunked layer, once. */
  readonly onDecision?: (descriptor: Descriptor, decision: ChunkedDecision) => void;
}

/** The layer to be pulled, as a pull has it. */
interface WantedLayer {
  readonly source: ImageSource;
  readonly descriptor: Descriptor;
}

interface Context {
  readonly limits: LayerLimits;
  readonly signal: AbortSignal | undefined;
  /** Takes the bytes of the blob that have been fetched so far. */
  readonly onFetched: (bytes: number) => void;
}

/** Yields the archive of the layer, or is `undefined` where it must be fetched whole. */
type ChunkedImporter = (
  layer: WantedLayer,
  context: Context,
) => Promise<AsyncIterable<ChunkedFrame> | undefined>;

/** A partial pull that needs more than this part of the blob is not worth its requests. */
const WORTHWHILE = 0.9;

/**
 * Makes a way to import layers for a pull; it returns `undefined` for what is no zstd:chunked. The importer,
 * and what it yields, throw `corrupt-chunked`, `content-mismatch`, `layer-limit`, TarError, and what the
 * source throws.
 */
export function chunkedImporter({ contents, onDecision }: ChunkedImporterOptions): ChunkedImporter {
  return async ({ source, descriptor }, context) => {
    if (layerCompression(descriptor.mediaType) !== "zstd") return undefined;
    const { toc, tarSplit, ...digests } =
      parseChunkedAnnotations(descriptor.annotations, descriptor.size) ?? {};
    // Files that lie on this machine are read from there.
    if (toc === undefined || source.openLayer !== undefined) return undefined;
    const whole = (reason: string): undefined => {
      onDecision?.(descriptor, { way: "whole", reason });
      return undefined;
    };
    if (source.openRanges === undefined) return whole("its source cannot give parts of it");
    if (tarSplit === undefined) return whole("it has no tar-split");
    if (contents.records === 0) return whole("the repository knows no file yet");

    const zstd = await loadZstd();
    const { signal } = context;
    let fetched = 0;
    const onFetched = (bytes: number): void => {
      fetched += bytes;
      context.onFetched(fetched);
    };
    const options = { signal, onFetched };
    const indexReader = new RangeReader(source, descriptor, mergeRanges([toc, tarSplit]), options);
    let index: ChunkedIndex;
    try {
      const positions = { toc, tarSplit, tocSha256: "", tarSplitSha256: undefined, ...digests };
      index = await readChunkedIndex(indexReader, positions, zstd);
    } catch (error) {
      if (error instanceof NoRangesError) return whole("the server has no ranges");
      throw error;
    } finally {
      await indexReader.close();
    }
    const size = index.toc.entries.reduce((sum, entry) => sum + entry.size, 0);
    checkRatio(size, descriptor.size, context.limits);
    const plan = planPartialPull(index.toc, contents);
    const needed = fetched + bytesOfRanges(plan.ranges);
    if (needed > WORTHWHILE * descriptor.size) return whole("hardly any of it is here already");
    onDecision?.(descriptor, { way: "partial", needed, reused: plan.reused });
    const reader = new RangeReader(source, descriptor, plan.ranges, options);
    return chunkedFrames({ index, plan, reader, zstd, limits: context.limits });
  };
}
