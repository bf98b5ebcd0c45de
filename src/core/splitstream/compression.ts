/**
 * zstd as the host has it. `core` brings no decompressor of its own, and no clock or thread either:
 * both calls are synchronous.
 */

/** Decompresses. */
export interface Decompression {
  /**
   * Yields the content of the frames that `compressed` holds one after the other, in pieces of
   * bounded size; a piece is valid until the next one is asked for. Throws anything for data that
   * is damaged or cut.
   */
  decompress(compressed: Iterable<Uint8Array>): Iterable<Uint8Array>;
}

/** Compresses, where the host can. */
export interface Compression {
  /**
   * Returns one frame that holds `pieces` one after the other. For the bytes that composefs-rs
   * writes: libzstd, level 3, streaming, without a content size and a checksum.
   */
  compressFrame(pieces: Iterable<Uint8Array>): Uint8Array;
}
