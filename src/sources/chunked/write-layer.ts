/** Layers on their way out, as zstd:chunked. */

import { createHash } from "node:crypto";
import { ChunkedLayerWriter } from "../../core/chunked/writer.ts";
import type { ChunkedLayer } from "../../core/chunked/writer.ts";
import type { Zstd } from "../../floor/mod.ts";

/** A blob that is being made. */
export interface WrittenChunkedLayer {
  /** The blob, once; each piece is the caller's. Throws TarError, and what the archive throws. */
  readonly blob: AsyncIterable<Uint8Array>;
  /**
   * What the descriptor of the layer must say, when the blob has come to its end: the annotations, or why
   * the blob is plain zstd and has none.
   */
  result(): ChunkedLayer;
}

/**
 * Makes a zstd:chunked blob of an archive, whose diff ID stays what it is. Without libzstd the frames are
 * hardly compressed. The pieces of the archive are used up before the next one is asked for. `blob` throws TarError.
 */
export function writeChunkedLayer(
  archive: AsyncIterable<Uint8Array>,
  zstd: Zstd,
): WrittenChunkedLayer {
  const { compression } = zstd;
  const writer = new ChunkedLayerWriter({
    sha256: () => createHash("sha256"),
    ...(compression === undefined ? {} : { compression }),
  });
  async function* blob(): AsyncGenerator<Uint8Array, void> {
    for await (const bytes of archive) yield* writer.push(bytes);
    yield* writer.finish();
  }
  return { blob: blob(), result: () => writer.result() };
}
