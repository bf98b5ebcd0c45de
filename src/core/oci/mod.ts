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
export type { Descriptor } from "./descriptor.ts";
export { parseOciDocument } from "./document.ts";
export type { OciDocument } from "./document.ts";
export { parseImageConfig } from "./image-config.ts";
export type { ImageConfig, RunConfig } from "./image-config.ts";
export { choosePlatform, parseIndex } from "./image-index.ts";
export type { ImageIndex } from "./image-index.ts";
export { MANIFEST_SIZE_MAX, parseManifest } from "./manifest.ts";
export type { Manifest } from "./manifest.ts";
export {
  MEDIA_TYPE,
  isConfigMediaType,
  isIndexMediaType,
  isManifestMediaType,
  layerCompression,
  layerMediaType,
} from "./media-type.ts";
export type { LayerCompression } from "./media-type.ts";
export {
  formatOciDigest,
  isOciDigest,
  ociDigestAlgorithm,
  ociDigestBytes,
  ociDigestHex,
  parseOciDigest,
} from "./oci-digest.ts";
export type { OciAlgorithm, OciDigest } from "./oci-digest.ts";
export { formatPlatform, parsePlatform } from "./platform.ts";
export type { Platform } from "./platform.ts";
export { formatImageReference, parseImageName, parseImageReference } from "./reference.ts";
export type { ImageReference, ShortName } from "./reference.ts";
export { checkSealDigests, checkSealSignatures } from "./check-seal.ts";
export type { ActualDigests, SealSignatures, SignatureCheck } from "./check-seal.ts";
export {
  SEAL_ARTIFACT_TYPE,
  SEAL_SIGNATURE_TYPE,
  readArtifactSeal,
  readInlineSeal,
} from "./seal.ts";
export type { Seal, SealEntry } from "./seal.ts";
export { formatSealKey, parseSealKey } from "./seal-key.ts";
export type { SealKey, SealRole } from "./seal-key.ts";
export { sealArtifact, sealManifest } from "./write-seal.ts";
export type { NewSealEntry, OciHash, SealArtifact } from "./write-seal.ts";
