/**
 * A layer on its way to the thread that takes it apart: the bytes of its tar archive, and, where the
 * source has files instead of bytes, the files in their places.
 *
 * A frame is a header of 16 bytes, little-endian: kind u32, descriptor u32, size u64; the bytes of a
 * `tar` frame, or the digest of an `object` frame, follow.
 */

import { byteStringFrom, bytesOf } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { parseFsVerityDigest } from "../../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { AT_FDCWD, O_RDONLY, openat } from "../../floor/mod.ts";
import type { LayerPiece } from "../image-source.ts";
import { RingAborted } from "./byte-ring.ts";
import type { RingReader, RingWriter } from "./byte-ring.ts";

/** A piece of a layer. */
export type LayerFrame =
  | LayerPiece
  /** The whole content of a file of the archive, as an object that the repository has. */
  | { readonly kind: "object"; readonly digest: FsVerityDigest; readonly size: number };

const HEADER_SIZE = 16;
const KIND = { tar: 1, file: 2, object: 3 } as const;

/** The sender's end. */
export class LayerSender {
  readonly #ring: RingWriter;
  readonly #header = new Uint8Array(HEADER_SIZE);
  readonly #view = new DataView(this.#header.buffer);

  constructor(ring: RingWriter) {
    this.#ring = ring;
  }

  /** Sends a piece, and waits for room as often as it takes. */
  async send(piece: LayerFrame): Promise<void> {
    switch (piece.kind) {
      case "tar":
        if (piece.bytes.length === 0) return;
        await this.#sendHeader(KIND.tar, 0, piece.bytes.length);
        await this.#ring.write(piece.bytes);
        return;
      case "file": {
        // The source closes its own when it goes on, which is before the receiver comes to it.
        const fd = openat(AT_FDCWD, `/proc/self/fd/${piece.fd}`, O_RDONLY);
        await this.#sendHeader(KIND.file, fd, piece.size);
        return;
      }
      case "object":
        await this.#sendHeader(KIND.object, piece.digest.length, piece.size);
        await this.#ring.write(bytesOf(piece.digest as string as ByteString));
    }
  }

  #sendHeader(kind: number, fd: number, size: number): Promise<void> {
    this.#view.setUint32(0, kind, true);
    this.#view.setUint32(4, fd, true);
    this.#view.setBigUint64(8, BigInt(size), true);
    return this.#ring.write(this.#header);
  }
}

/**
 * Yields the pieces that come out of a ring; the files belong to the caller; bytes are views of one buffer, valid until the next piece
 * is asked for, and one frame may come in several pieces.
 */
export function* receiveLayer(ring: RingReader, buffer: Uint8Array): Generator<LayerFrame, void> {
  const header = new Uint8Array(HEADER_SIZE);
  const view = new DataView(header.buffer);
  while (readFully(ring, header)) {
    const size = Number(view.getBigUint64(8, true));
    const number = view.getUint32(4, true);
    switch (view.getUint32(0, true)) {
      case KIND.tar:
        for (let left = size; left > 0;) {
          const length = ring.read(buffer.subarray(0, Math.min(left, buffer.length)));
          if (length === 0) throw new RingAborted();
          yield { kind: "tar", bytes: buffer.subarray(0, length) };
          left -= length;
        }
        break;
      case KIND.file:
        yield { kind: "file", fd: number, size };
        break;
      case KIND.object: {
        const digest = new Uint8Array(number);
        if (!readFully(ring, digest)) throw new RingAborted();
        yield { kind: "object", digest: parseFsVerityDigest(byteStringFrom(digest)), size };
        break;
      }
      default:
        throw new TypeError("unknown frame");
    }
  }
}

/** Fills `into`; false where the ring ends in front of it. */
function readFully(ring: RingReader, into: Uint8Array): boolean {
  for (let at = 0; at < into.length;) {
    const length = ring.read(into.subarray(at));
    if (length === 0) {
      if (at === 0) return false;
      throw new RingAborted();
    }
    at += length;
  }
  return true;
}
