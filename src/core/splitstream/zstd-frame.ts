/**
 * zstd frames without a compressor: runs of one byte shrink to four, all else is stored as it is.
 *
 * For hosts that can only decompress: any zstd reader takes these frames, and tar headers, which are
 * mostly zeros, still shrink to about a third. For nothing, and for a few bytes that do not compress,
 * the frame equals what libzstd's streaming encoder makes at its default level.
 *
 * Source: RFC 8878, section 3.1.1.
 */

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd] as const;
/** Of the frame header: no checksum, no size, a window of 2 MiB (the default level of libzstd). */
const STREAMING_HEADER = [0x00, 0x58] as const;
/** Of the frame header: one segment, whose size of 0 follows in a byte. */
const EMPTY_HEADER = [0x20, 0x00] as const;
const BLOCK_RAW = 0;
const BLOCK_RLE = 1;
const BLOCK_SIZE_MAX = 1 << 17;
/** Runs shorter than this cost more in block headers than they save. */
const RUN_MIN = 16;

/** Returns one frame that holds `pieces` one after the other. */
export function storeZstdFrame(pieces: Iterable<Uint8Array>): Uint8Array {
  const frame = new FrameBuilder();
  for (const piece of pieces) frame.push(piece);
  return frame.finish();
}

class FrameBuilder {
  readonly #parts: Uint8Array[] = [];
  #size = 0;
  #last: { readonly header: Uint8Array; readonly value: number } | undefined;

  push(bytes: Uint8Array): void {
    let rawStart = 0;
    for (let at = 0; at < bytes.length;) {
      const end = runEnd(bytes, at);
      if (end - at >= RUN_MIN) {
        this.#raw(bytes.subarray(rawStart, at));
        this.#block(BLOCK_RLE, end - at, bytes.slice(at, at + 1));
        rawStart = end;
      }
      at = end;
    }
    this.#raw(bytes.subarray(rawStart));
  }

  finish(): Uint8Array {
    const head =
      this.#last === undefined ? [...MAGIC, ...EMPTY_HEADER] : [...MAGIC, ...STREAMING_HEADER];
    if (this.#last === undefined) this.#block(BLOCK_RAW, 0, new Uint8Array(0));
    writeBlockHeader(this.#last!.header, this.#last!.value | 1);
    const frame = new Uint8Array(head.length + this.#size);
    frame.set(head);
    let at = head.length;
    for (const part of this.#parts) {
      frame.set(part, at);
      at += part.length;
    }
    return frame;
  }

  #raw(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += BLOCK_SIZE_MAX) {
      const part = bytes.slice(at, at + BLOCK_SIZE_MAX);
      this.#block(BLOCK_RAW, part.length, part);
    }
  }

  #block(type: number, size: number, content: Uint8Array): void {
    const header = new Uint8Array(3);
    const value = (size << 3) | (type << 1);
    writeBlockHeader(header, value);
    this.#last = { header, value };
    this.#parts.push(header, content);
    this.#size += header.length + content.length;
  }
}

/** Where the run of equal bytes ends that starts at `start`; no run is longer than a block. */
function runEnd(bytes: Uint8Array, start: number): number {
  const most = Math.min(bytes.length, start + BLOCK_SIZE_MAX);
  let at = start + 1;
  while (at < most && bytes[at] === bytes[start]) at++;
  return at;
}

function writeBlockHeader(target: Uint8Array, value: number): void {
  target[0] = value & 0xff;
  target[1] = (value >> 8) & 0xff;
  target[2] = value >> 16;
}
