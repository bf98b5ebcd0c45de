/** Where trees come from. */

export * from "./directory/mod.ts";
export { decompressLayer, detectCompression } from "./decompress.ts";
export type * from "./image-source.ts";
export * from "./registry/mod.ts";
