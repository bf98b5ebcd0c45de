/** zstd:chunked layers: which part of a blob is which file. See `format.ts`. */

export {
  CHUNKED_ANNOTATION,
  CHUNKED_FOOTER,
  DEFAULT_CHUNKED_LIMITS,
  corruptChunked,
} from "./format.ts";
export type { ChunkedLimits } from "./format.ts";
export { decodeChunkedFooter, parseChunkedAnnotations } from "./positions.ts";
export type { BlobPart, ChunkedAnnotations, ChunkedPositions } from "./positions.ts";
export { reassembleLayer } from "./reassemble.ts";
export type { LayerPart } from "./reassemble.ts";
export type { NewSha256, Sha256 } from "./sha256.ts";
export { readTarSplit } from "./tar-split.ts";
export type { TarSplitRecord } from "./tar-split.ts";
export type { TocChunk, TocEntry, TocType } from "./toc-entry.ts";
export { parseChunkedToc } from "./toc.ts";
export type { ChunkedToc, ParseTocOptions } from "./toc.ts";
export { ChunkedLayerWriter } from "./writer.ts";
export type { ChunkedLayer, ChunkedWriterOptions } from "./writer.ts";
