/** zstd:chunked layers: partial pulls, and blobs for a push. See `importer.ts` and `write-layer.ts`. */

export { chunkedImporter } from "./importer.ts";
export type { ChunkedDecision, ChunkedImporterOptions } from "./importer.ts";
export type { ContentFinder } from "./plan.ts";
export { writeChunkedLayer } from "./write-layer.ts";
export type { WrittenChunkedLayer } from "./write-layer.ts";
