/** What a layer may cost: a hostile one is small on the wire and large on the disk. */

import { ComposefsError } from "../../core/errors.ts";
import { DEFAULT_TAR_LIMITS } from "../../core/tar/limits.ts";
import type { TarLimits } from "../../core/tar/limits.ts";

/** Limits of one layer; the bytes and entries of all that is not content are in {@link TarLimits}. */
export interface LayerLimits extends TarLimits {
  /** Bytes of the archive, uncompressed. */
  readonly size: number;
  /** Bytes of a sparse file with its holes. */
  readonly sparseSize: number;
  /** How many times larger than the blob the archive may be, once it has more than 1 GiB. */
  readonly ratio: number;
}

/** The limits unless told otherwise: far above any image in use. */
export const DEFAULT_LAYER_LIMITS: LayerLimits = {
  ...DEFAULT_TAR_LIMITS,
  size: 2 ** 38,
  sparseSize: 2 ** 34,
  ratio: 250,
};

/** Archives up to this size may be of nothing but zeros. */
const RATIO_FROM = 2 ** 30;

/** Throws `layer-limit` when `archiveSize` bytes came out of `blobSize`, and that is too many. */
export function checkRatio(archiveSize: number, blobSize: number, { ratio }: LayerLimits): void {
  if (archiveSize <= RATIO_FROM || archiveSize <= blobSize * ratio) return;
  throw layerOverLimit(`more than ${ratio} times as large as its blob`);
}

/** The error of every limit here. */
export function layerOverLimit(reason: string): ComposefsError {
  return new ComposefsError("layer-limit", `Cannot import layer: ${reason}`, {
    hint: "raise the limit if you trust the image",
  });
}
