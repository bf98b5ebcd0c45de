/** The content of one file as frames: one for each piece that the rolling checksum cuts off. */

import type { Compression } from "../splitstream/compression.ts";
import { Crc64Iso } from "./crc64.ts";
import { compressFrame } from "./frame-series.ts";
import { RollingSplitter } from "./rolling-split.ts";
import type { SplitEvent } from "./rolling-split.ts";
import type { NewSha256, Sha256 } from "./sha256.ts";
import type { TocChunk } from "./toc-entry.ts";

const ZEROS = new Uint8Array(1 << 16);

/** Writes the content of one file. */
export class ContentWriter {
  readonly #newSha256: NewSha256;
  readonly #compression: Compression | undefined;
  readonly #splitter = new RollingSplitter();
  readonly #fileHash: Sha256;
  readonly #crc64 = new Crc64Iso();
  readonly #chunks: TocChunk[] = [];
  #piece: Uint8Array[] = [];
  #pieceSize = 0;
  /** Where the next frame begins in the blob. */
  #offset: number;
  #size = 0;

  constructor(offset: number, newSha256: NewSha256, compression: Compression | undefined) {
    this.#offset = offset;
    this.#newSha256 = newSha256;
    this.#compression = compression;
    this.#fileHash = newSha256();
  }

  /** Takes the next bytes, of which nothing is kept, and yields frames. */
  *push(bytes: Uint8Array): Generator<Uint8Array, void> {
    this.#fileHash.update(bytes);
    this.#crc64.update(bytes);
    yield* this.#frames(this.#splitter.push(bytes));
  }

  *finish(): Generator<Uint8Array, void> {
    yield* this.#frames(this.#splitter.finish());
    if (this.#pieceSize > 0) yield this.#closePiece();
  }

  /** After `finish`. */
  result(): {
    readonly chunks: readonly TocChunk[];
    readonly sha256: string;
    readonly crc64: Uint8Array;
  } {
    return {
      chunks: this.#chunks,
      sha256: this.#fileHash.digest("hex"),
      crc64: this.#crc64.digest(),
    };
  }

  *#frames(events: Iterable<SplitEvent>): Generator<Uint8Array, void> {
    for (const event of events) {
      if (event.kind === "zeros") {
        yield this.#chunk("zeros", event.size, zeros(event.size));
        continue;
      }
      if (event.bytes.length > 0) {
        this.#piece.push(event.bytes.slice());
        this.#pieceSize += event.bytes.length;
      }
      if (event.ends) yield this.#closePiece();
    }
  }

  #closePiece(): Uint8Array {
    const frame = this.#chunk("data", this.#pieceSize, this.#piece);
    this.#piece = [];
    this.#pieceSize = 0;
    return frame;
  }

  #chunk(kind: TocChunk["kind"], size: number, pieces: Iterable<Uint8Array>): Uint8Array {
    const hash = this.#newSha256();
    const frame = compressFrame(hashed(pieces, hash), this.#compression);
    const end = this.#offset + frame.length;
    const sha256 = hash.digest("hex");
    this.#chunks.push({ kind, fileOffset: this.#size, size, offset: this.#offset, end, sha256 });
    this.#offset = end;
    this.#size += size;
    return frame;
  }
}

function* zeros(size: number): Generator<Uint8Array, void> {
  for (let left = size; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}

function* hashed(pieces: Iterable<Uint8Array>, hash: Sha256): Generator<Uint8Array, void> {
  for (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
}
