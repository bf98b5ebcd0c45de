/** Splitstreams: files taken apart into inline bytes and objects. See `format.ts`. */

export type { Compression, Decompression } from "./compression.ts";
export { CONTENT_TYPE } from "./format.ts";
export type { NamedRef } from "./format.ts";
export { SplitStream, joinSplitStream, openSplitStream } from "./reader.ts";
export type { SplitChunk } from "./reader.ts";
export { SplitStreamWriter } from "./writer.ts";
export type { ExternalChunk, SplitStreamWriterOptions } from "./writer.ts";
