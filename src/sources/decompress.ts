/**
 * Layers without their compression: gzip of several members, zstd of several frames, or none.
 *
 * What comes out may be thousands of times what goes in: the caller counts, and stops asking. Bytes
 * behind the last member or frame that are no further one are an error: what one reader takes for the
 * end another may read on from.
 */

import { Readable, pipeline } from "node:stream";
import type { TransformOptions } from "node:stream";
import { createGunzip } from "node:zlib";
import type { ZlibOptions } from "node:zlib";
import { ComposefsError } from "../core/errors.ts";
import type { LayerCompression } from "../core/oci/media-type.ts";
import { loadZstd } from "../floor/zstd.ts";

/** With the default of 16 KiB gunzip takes 2.7 times as long. */
const GUNZIP_CHUNK = 1 << 20;

/** Bytes that gunzip gets at a time: each turn of its thread has its price, which a socket's pieces are too small for. */
const GUNZIP_INPUT = 1 << 18;

/** Bytes that are fetched ahead of it. */
const GUNZIP_AHEAD = 1 << 19;

/**
 * Yields the content of `compressed`, in pieces that are the caller's; nothing is read that was not asked
 * for, but for some buffers. Throws `corrupt-archive` for data that is damaged or cut, and whatever
 * `compressed` throws.
 */
export async function* decompressLayer(
  compressed: AsyncIterable<Uint8Array>,
  compression: LayerCompression,
): AsyncGenerator<Uint8Array, void> {
  switch (compression) {
    case "none":
      yield* compressed;
      return;
    case "gzip":
      yield* gunzip(compressed);
      return;
    case "zstd":
      yield* unzstd(compressed);
  }
}

/** The compression that the first bytes of a file tell; for archives whose name does not. */
export function detectCompression(start: Uint8Array): LayerCompression | undefined {
  const magic = (...bytes: number[]): boolean => bytes.every((byte, i) => start[i] === byte);
  if (magic(0x1f, 0x8b)) return "gzip";
  // A skippable frame may come first.
  const isSkippable = start[0] !== undefined && (start[0] & 0xf0) === 0x50;
  if (magic(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  if (isSkippable && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18) return "zstd";
  if (magic(0x42, 0x5a, 0x68) || magic(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return undefined;
  return "none";
}

async function* unzstd(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const zstd = await loadZstd();
  const decompressor = zstd.createDecompressor();
  try {
    for await (const bytes of compressed) {
      const pieces = decompressor.push(bytes)[Symbol.iterator]();
      for (;;) {
        const next = damaged(() => pieces.next());
        if (next.done === true) break;
        yield next.value.slice();
      }
    }
    damaged(() => decompressor.finish());
  } finally {
    decompressor.close();
  }
}

/** Calls the decompressor, and says what its error means. */
function damaged<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw corrupt("zstd", "it is damaged or cut", cause);
  }
}

async function* gunzip(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const options: ZlibOptions & TransformOptions = {
    chunkSize: GUNZIP_CHUNK,
    highWaterMark: GUNZIP_INPUT,
  };
  const stream = createGunzip(options);
  let pushed = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array, void> {
    for await (const bytes of inLargePieces(compressed)) {
      pushed += bytes.length;
      yield bytes;
    }
  };
  // What goes wrong on the way comes out of the loop below.
  const input = Readable.from(counted(), { objectMode: false, highWaterMark: GUNZIP_AHEAD });
  pipeline(input, stream, () => {});
  try {
    for await (const bytes of stream) yield bytes as Uint8Array;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && String(cause.code).startsWith("Z_")) {
      throw corrupt("gzip", "it is damaged or cut", cause);
    }
    throw cause;
  }
  if (pushed === 0) throw corrupt("gzip", "it is empty");
  // Node passes over what follows a member and begins with a zero.
  if (pushed !== stream.bytesWritten) throw corrupt("gzip", "something follows its end");
}

/** Joins pieces to some of at least {@link GUNZIP_INPUT} bytes, but for the last one. */
async function* inLargePieces(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of pieces) {
    parts.push(bytes);
    size += bytes.length;
    if (size < GUNZIP_INPUT) continue;
    yield Buffer.concat(parts, size);
    parts = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(parts, size);
}

function corrupt(compression: string, reason: string, cause?: unknown): ComposefsError {
  return new ComposefsError(
    "corrupt-archive",
    `Cannot decompress ${compression}: ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
