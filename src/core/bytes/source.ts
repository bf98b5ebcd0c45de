/**
 * "Bytes somewhere else": the one thing the image reader asks for.
 *
 * Synchronous on purpose: an image of 100,000 entries is read in half a second, and a promise for each
 * of its fields would cost more than the reading. See docs/decisions/0002-sync-byte-source.md.
 */

/** A range of bytes that does not change while it is open. */
export interface ByteSource {
  /** Total number of bytes; at most 2^53 - 1. */
  readonly size: number;
  /**
   * Returns exactly `length` bytes from `offset`. The caller has checked that the range lies inside
   * `size`. The view may alias the source's own buffer and is valid until the next call: copy what
   * must last. Throws what the medium throws when it fails.
   */
  read(offset: number, length: number): Uint8Array;
}

/** A source over bytes in memory; the views it returns alias `bytes` and stay valid. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}
