/** Frames one behind the other, for what is too large to be held until it can be compressed at once. */

import type { Compression } from "../splitstream/compression.ts";
import { storeZstdFrame } from "../splitstream/zstd-frame.ts";
import type { Sha256 } from "./sha256.ts";

/** What goes into one frame. */
const FRAME_SIZE = 1 << 20;

/** Returns one zstd frame; without a compressor it is stored. */
export function compressFrame(
  pieces: Iterable<Uint8Array>,
  compression: Compression | undefined,
): Uint8Array {
  return compression === undefined ? storeZstdFrame(pieces) : compression.compressFrame(pieces);
}

/** Collects bytes in compressed form. */
export class FrameSeries {
  readonly #compression: Compression | undefined;
  readonly #hash: Sha256;
  readonly #frames: Uint8Array[] = [];
  #pending: Uint8Array[] = [];
  #pendingSize = 0;
  #length = 0;
  #uncompressedLength = 0;

  constructor(compression: Compression | undefined, hash: Sha256) {
    this.#compression = compression;
    this.#hash = hash;
  }

  /** Adds bytes, which must not change any more. */
  add(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingSize += bytes.length;
    this.#uncompressedLength += bytes.length;
    if (this.#pendingSize >= FRAME_SIZE) this.#flush();
  }

  /** Returns the frames and the sha256 of all of them, in hexadecimal. */
  finish(): {
    readonly frames: readonly Uint8Array[];
    readonly length: number;
    readonly uncompressedLength: number;
    readonly sha256: string;
  } {
    if (this.#pendingSize > 0) this.#flush();
    return {
      frames: this.#frames,
      length: this.#length,
      uncompressedLength: this.#uncompressedLength,
      sha256: this.#hash.digest("hex"),
    };
  }

  #flush(): void {
    const frame = compressFrame(this.#pending, this.#compression);
    this.#pending = [];
    this.#pendingSize = 0;
    this.#frames.push(frame);
    this.#length += frame.length;
    this.#hash.update(frame);
  }
}
