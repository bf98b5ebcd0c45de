/** Where trees come from. */

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
