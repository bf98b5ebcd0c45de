/** Compresses layers as they stream by. Same archive, same bytes, as long as the libraries are the same. */

import { Readable, pipeline } from "node:stream";
import { createGzip } from "node:zlib";
import { ComposefsError } from "../core/errors.ts";
import type { LayerCompression } from "../core/oci/media-type.ts";
import { loadZstd } from "../floor/zstd.ts";

/** As of gunzip: the default of 16 KiB costs time. */
const GZIP_CHUNK = 1 << 20;

/**
 * Yields `content` compressed, in pieces that are the caller's. The level is that of the library unless
 * told. Throws `unsupported-media-type` for zstd where there is no libzstd, and what `content` throws.
 */
export async function* compressLayer(
  content: AsyncIterable<Uint8Array>,
  compression: LayerCompression,
  level?: number,
): AsyncGenerator<Uint8Array, void> {
  switch (compression) {
    case "none":
      yield* content;
      return;
    case "gzip":
      yield* gzip(content, level);
      return;
    case "zstd":
      yield* zstd(content, level);
  }
}

async function* gzip(
  content: AsyncIterable<Uint8Array>,
  level: number | undefined,
): AsyncGenerator<Uint8Array, void> {
  const stream = createGzip({ chunkSize: GZIP_CHUNK, ...(level === undefined ? {} : { level }) });
  // What goes wrong on the way comes out of the loop below.
  pipeline(Readable.from(content, { objectMode: false }), stream, () => {});
  for await (const bytes of stream) yield bytes as Uint8Array;
}

async function* zstd(
  content: AsyncIterable<Uint8Array>,
  level: number | undefined,
): AsyncGenerator<Uint8Array, void> {
  const { compression } = await loadZstd();
  if (compression === undefined) {
    throw new ComposefsError("unsupported-media-type", "Cannot compress with zstd: no libzstd", {
      hint: "install libzstd (Debian package libzstd1), or choose gzip",
    });
  }
  const compressor = compression.createCompressor(level);
  try {
    for await (const bytes of content) {
      for (const piece of compressor.push(bytes)) yield piece.slice();
    }
    for (const piece of compressor.finish()) yield piece.slice();
  } finally {
    compressor.close();
  }
}
