/**
 * zstd by WebAssembly: the module of the package zstddec, and a loop of our own around it.
 *
 * The package's own loop does not look at error codes, so that damaged input never ends, and stops
 * where all input is used up, though a full buffer may mean that there is more output.
 */

import { ZSTDDecoder } from "zstddec/stream";
import { decompressFrames } from "./zstd-stream.ts";
import type { Zstd, ZstdDecompressor } from "./zstd-stream.ts";

/** What the module exports, of what is used here. Pointers and sizes have 32 bits. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  malloc(size: number): number;
  free(pointer: number): void;
  ZSTD_createDCtx(): number;
  ZSTD_freeDCtx(context: number): number;
  ZSTD_decompressStream(context: number, out: number, input: number): number;
}

/** `ZSTD_inBuffer` and `ZSTD_outBuffer`: pointer, size, position. */
const BUFFER = { pointer: 0, size: 4, at: 8, bytes: 12 } as const;
const OUT_SIZE = 1 << 17;
const IN_SIZE = 1 << 16;
/** Error codes are small negative numbers (`ZSTD_error_maxCode`). */
const ERROR_MAX = -120;

let loaded: Exports | undefined;

class Loader extends ZSTDDecoder {
  override _init(result: Parameters<ZSTDDecoder["_init"]>[0]): void {
    // oxlint-disable-next-line no-underscore-dangle -- the name is the package's
    super._init(result);
    loaded = result.instance.exports as unknown as Exports;
  }
}

/** Returns zstd by way of WebAssembly. */
export async function loadZstdWasm(): Promise<Zstd> {
  await new Loader().init();
  const exports = loaded!;
  const createDecompressor = (): WasmDecompressor => new WasmDecompressor(exports);
  return {
    way: "wasm",
    version: undefined,
    compression: undefined,
    createDecompressor,
    decompress: (compressed) => decompressFrames(createDecompressor, compressed),
  };
}

/** Pointers of one stream. */
interface Places {
  readonly context: number;
  readonly out: number;
  readonly input: number;
  readonly outBuffer: number;
  readonly inBuffer: number;
}

const abandoned = new FinalizationRegistry<() => void>((release) => release());

class WasmDecompressor implements ZstdDecompressor {
  readonly #exports: Exports;
  #places: Places | undefined;
  #isBetweenFrames = true;

  constructor(exports: Exports) {
    this.#exports = exports;
    const places = {
      context: exports.ZSTD_createDCtx(),
      out: exports.malloc(OUT_SIZE),
      input: exports.malloc(IN_SIZE),
      outBuffer: exports.malloc(BUFFER.bytes),
      inBuffer: exports.malloc(BUFFER.bytes),
    };
    if (Object.values(places).includes(0)) {
      free(exports, places);
      throw new Error("zstd: no memory");
    }
    this.#places = places;
    abandoned.register(this, () => free(exports, places), this);
  }

  *push(bytes: Uint8Array): Generator<Uint8Array, void> {
    for (let at = 0; at < bytes.length; at += IN_SIZE) {
      yield* this.#push(bytes.subarray(at, at + IN_SIZE));
    }
  }

  *#push(bytes: Uint8Array): Generator<Uint8Array, void> {
    const { memory, ZSTD_decompressStream } = this.#exports;
    const places = this.#open();
    const { context, out, input, outBuffer, inBuffer } = places;
    new Uint8Array(memory.buffer).set(bytes, input);
    for (let at = 0, isFull = false; at < bytes.length || isFull;) {
      this.#open();
      this.#setBuffer(inBuffer, input, bytes.length, at);
      this.#setBuffer(outBuffer, out, OUT_SIZE, 0);
      const hint = ZSTD_decompressStream(context, outBuffer, inBuffer);
      if (hint < 0 && hint >= ERROR_MAX) {
        this.close();
        throw new Error(`zstd: error ${-hint}`);
      }
      // The memory may have grown, and then its buffer is another one.
      const view = new DataView(memory.buffer);
      at = view.getUint32(inBuffer + BUFFER.at, true);
      const size = view.getUint32(outBuffer + BUFFER.at, true);
      this.#isBetweenFrames = hint === 0;
      isFull = size === OUT_SIZE && !this.#isBetweenFrames;
      // A copy: another stream may make the memory grow before the piece is used.
      if (size > 0) yield new Uint8Array(memory.buffer).slice(out, out + size);
    }
  }

  finish(): void {
    this.close();
    if (!this.#isBetweenFrames) throw new Error("zstd: the last frame is cut");
  }

  close(): void {
    if (this.#places === undefined) return;
    abandoned.unregister(this);
    free(this.#exports, this.#places);
    this.#places = undefined;
  }

  #open(): Places {
    if (this.#places === undefined) throw new TypeError("zstd: the stream is closed");
    return this.#places;
  }

  #setBuffer(place: number, pointer: number, size: number, at: number): void {
    const view = new DataView(this.#exports.memory.buffer);
    view.setUint32(place + BUFFER.pointer, pointer, true);
    view.setUint32(place + BUFFER.size, size, true);
    view.setUint32(place + BUFFER.at, at, true);
  }
}

function free(exports: Exports, places: Places): void {
  const { context, ...buffers } = places;
  if (context !== 0) exports.ZSTD_freeDCtx(context);
  for (const pointer of Object.values(buffers)) {
    if (pointer !== 0) exports.free(pointer);
  }
}
