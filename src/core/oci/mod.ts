/** OCI images: layers to a tree, and the tree's canonical form. */

export { canonicalizeBootableRootfs, canonicalizeRootfs } from "./canonical.ts";
export type { CanonicalOptions } from "./canonical.ts";
export { LAYER_INLINE_MAX, isStoredAsObject, layerEntryOf } from "./layer-entry.ts";
export type { LayerEntry } from "./layer-entry.ts";
export { LayerBuilder } from "./layer.ts";
export type { LayerDirectory, LayerNode, LayerOptions, LowerLink } from "./layer.ts";
export { mergeLayers } from "./merge.ts";
export type { MergeOptions } from "./merge.ts";
export { readLayer } from "./read-layer.ts";
export type { ReadLayerOptions } from "./read-layer.ts";
