/** OCI images in a repository: their names, streams, tags and EROFS images. */

export { composeRootfs, readLayerTree, writeErofsImages } from "./compose.ts";
export type { ComposeOptions, LayerTreeOptions } from "./compose.ts";
export { putArtifact, readBlob } from "./artifact.ts";
export type { NewArtifact } from "./artifact.ts";
export {
  diffIdsOf,
  findConfig,
  findErofs,
  findImage,
  openManifest,
  openOciImage,
  resolveReference,
} from "./image.ts";
export type { FoundConfig, OciImage, OciLayer } from "./image.ts";
export { erofsRefName, layerStreamName, manifestStreamName, referrerRef, tagRef } from "./names.ts";
export type { ErofsVariant } from "./names.ts";
export { listOciImages } from "./list-images.ts";
export type { ListedImage } from "./list-images.ts";
export { noteOrigin, readOrigin } from "./origins.ts";
export { composeImage, contentReader, readRepositoryLayer } from "./repository-layer.ts";
export { listReferrers, listTags, removeReferrers, tagImage, untagImage } from "./tags.ts";
export type { Tag } from "./tags.ts";
export { measureUsage, objectsOfImage } from "./usage.ts";
export type { ImageUsage } from "./usage.ts";
export { putBlobStream, putConfig, putManifest } from "./write-image.ts";
export type { OciBytes } from "./write-image.ts";
