/** What goes between the threads of a pull. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { ObjectsConfig, StagedObject, StagingStats } from "../../store/mod.ts";
import type { SplitLayer } from "./layer-splitter.ts";
import type { LayerLimits } from "./limits.ts";
import type { ThreadFailure } from "./thread-failure.ts";

/** What a worker needs to know from the start. */
export interface LayerWorkerConfig {
  readonly objects: ObjectsConfig;
  readonly limits: LayerLimits;
  /** See `DebtCounter`. */
  readonly debt: SharedArrayBuffer;
}

/** One layer to be taken apart: it comes through a ring; see `byte-ring.ts`. */
export interface LayerTask {
  /** What it must turn out to be. */
  readonly diffId: OciDigest;
  readonly ring: SharedArrayBuffer;
}

/** What a worker has made of a layer. */
export interface WorkedLayer extends SplitLayer {
  /** The objects that were not handed over before, complete and without a name: the receiver's now. */
  readonly staged: readonly StagedObject[];
  readonly objects: StagingStats;
  /** SHA-256 and fs-verity digest of each file that became an object. */
  readonly contents: readonly ContentPair[];
}

/** One content under both of its names. */
export interface ContentPair {
  readonly sha256: OciDigest;
  readonly digest: FsVerityDigest;
  readonly size: number;
}

/** What a worker says. */
export type LayerMessage =
  /** There is room in the ring. */
  | { readonly kind: "room" }
  /** Objects of a layer that goes on: the receiver's now. */
  | { readonly kind: "staged"; readonly staged: readonly StagedObject[] }
  | { readonly kind: "done"; readonly layer: WorkedLayer }
  | { readonly kind: "failed"; readonly failure: ThreadFailure };
