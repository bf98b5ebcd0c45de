/** Pulling OCI images into repositories. */

export type { ImportContext, LayerImporter, WantedLayer } from "./import-layer.ts";
export type { LayerFrame } from "./layer-frames.ts";
export { DEFAULT_LAYER_LIMITS } from "./limits.ts";
export type { LayerLimits } from "./limits.ts";
export type {
  PulledErofs,
  PulledImage,
  PullEvent,
  PullLayer,
  PullLayerReport,
  PullOptions,
  PullReport,
} from "./options.ts";
export { pullImage } from "./pull.ts";
