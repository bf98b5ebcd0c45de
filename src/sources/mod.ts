/**
 * Where trees come from and go to: directories, and OCI images in registries, layouts, archives and podman's
 * storage; pulling them into a repository, exporting them out of one, and their seals.
 */

export * from "./directory/mod.ts";
export * from "./chunked/mod.ts";
export { decompressLayer, detectCompression } from "./decompress.ts";
export type * from "./image-source.ts";
export * from "./registry/mod.ts";
export { openImageSource } from "./open-image.ts";
export type { OpenImageOptions } from "./open-image.ts";
export { openImageTarget } from "./open-target.ts";
export type { OpenTargetOptions } from "./open-target.ts";
export { hostPlatform, resolveImage } from "./resolve-image.ts";
export type { ResolvedManifest } from "./resolve-image.ts";
export * from "./export/mod.ts";
export * from "./pull/mod.ts";
export { parseTransport } from "./transport.ts";
export * from "./seal/mod.ts";
export * from "./repair/mod.ts";
