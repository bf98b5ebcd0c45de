/** What zstd does, whichever library does it. */

/** Decompresses one stream of frames. After an error it is of no further use. */
export interface ZstdDecompressor {
  /**
   * Takes the next bytes and yields what they decompress to, in pieces of at most 128 KiB; a piece is
   * valid until the next one is asked for. All pieces must be taken before the next bytes are pushed.
   * Throws for damaged data, and for a frame that asks for a window over 128 MiB.
   */
  push(bytes: Uint8Array): Iterable<Uint8Array>;
  /** Says that no bytes follow. Throws when the last frame is cut. */
  finish(): void;
  /** Frees what belongs to it, for those who do not come to `finish`; may be called again. */
  close(): void;
}

/** Compresses one frame: without a content size and a checksum, as streaming does. */
export interface ZstdFrameCompressor {
  /** As of {@link ZstdDecompressor}. */
  push(bytes: Uint8Array): Iterable<Uint8Array>;
  /** Yields what is left, and frees what belongs to it. */
  finish(): Iterable<Uint8Array>;
  close(): void;
}

/** Compression, where there is one; structurally the `Compression` of core. */
export interface ZstdCompression {
  /**
   * Returns one frame that holds `pieces` one after the other. At level 3, which it is unless told,
   * these are the bytes that composefs-rs writes.
   */
  compressFrame(pieces: Iterable<Uint8Array>, level?: number): Uint8Array;
  createCompressor(level?: number): ZstdFrameCompressor;
}

/** zstd as this machine has it; structurally the `Decompression` of core. It keeps no state. */
export interface Zstd {
  readonly way: "libzstd" | "wasm";
  /** As `1.5.4`; `undefined` where it is not told. What a compressor makes changes with it. */
  readonly version: string | undefined;
  /**
   * Yields the content of the frames that `compressed` holds one after the other; pieces as of
   * {@link ZstdDecompressor}. Skippable frames hold nothing. Throws for data that is damaged or cut.
   */
  decompress(compressed: Iterable<Uint8Array>): Iterable<Uint8Array>;
  createDecompressor(): ZstdDecompressor;
  /** `undefined` in the way of WebAssembly. */
  readonly compression: ZstdCompression | undefined;
}

/** As `Zstd.decompress`, with decompressors of this kind. */
export function* decompressFrames(
  createDecompressor: () => ZstdDecompressor,
  compressed: Iterable<Uint8Array>,
): Generator<Uint8Array, void> {
  const decompressor = createDecompressor();
  try {
    for (const piece of compressed) yield* decompressor.push(piece);
    decompressor.finish();
  } finally {
    decompressor.close();
  }
}
