/**
 * libzstd of the system, by koffi.
 *
 * Source: zstd.h of 1.4.0 and later; the calls ending in simpleArgs take positions as pointers to
 * size_t, so that no structure with a pointer inside has to be made for each call.
 */

import koffi from "koffi";
import { decompressFrames } from "./zstd-stream.ts";
import type {
  Zstd,
  ZstdCompression,
  ZstdDecompressor,
  ZstdFrameCompressor,
} from "./zstd-stream.ts";

/** `ZSTD_cParameter`. */
const ZSTD_c_compressionLevel = 100;
/** `ZSTD_EndDirective`. */
const ZSTD_e_continue = 0;
const ZSTD_e_end = 2;
/** `ZSTD_DStreamOutSize`: a whole block. */
const OUT_SIZE = 1 << 17;
const DEFAULT_LEVEL = 3;

type Context = object;

interface Functions {
  versionString(): string;
  isError(code: number): number;
  getErrorName(code: number): string;
  createDCtx(): Context | null;
  freeDCtx(context: Context): number;
  createCCtx(): Context | null;
  freeCCtx(context: Context): number;
  setParameter(context: Context, parameter: number, value: number): number;
  decompress(context: Context, ...buffers: Buffers): number;
  compress(context: Context, ...buffersAndEnd: [...Buffers, number]): number;
}

/** Target, its size, place of the position in it; the same of the source. */
type Buffers = [Uint8Array, number, BigUint64Array, Uint8Array, number, BigUint64Array];

/** Returns zstd by way of libzstd; `undefined` where there is none, or one that is too old. */
export function loadLibzstd(): Zstd | undefined {
  let functions: Functions;
  try {
    functions = bind();
  } catch {
    return undefined;
  }
  const createDecompressor = (): Decompressor => new Decompressor(functions);
  const createCompressor = (level = DEFAULT_LEVEL): FrameCompressor =>
    new FrameCompressor(functions, level);
  const compression: ZstdCompression = {
    createCompressor,
    compressFrame(pieces, level) {
      const compressor = createCompressor(level);
      const parts: Uint8Array[] = [];
      try {
        for (const piece of pieces) {
          for (const part of compressor.push(piece)) parts.push(part.slice());
        }
        for (const part of compressor.finish()) parts.push(part.slice());
      } finally {
        compressor.close();
      }
      return Uint8Array.from(Buffer.concat(parts));
    },
  };
  return {
    way: "libzstd",
    version: functions.versionString(),
    compression,
    createDecompressor,
    decompress: (compressed) => decompressFrames(createDecompressor, compressed),
  };
}

function bind(): Functions {
  // Its own functions first: newer Nodes have a zstd of another version inside, and show its names.
  const library = koffi.load("libzstd.so.1", { deep: true });
  const buffers =
    "void *dst, size_t dst_size, void *dst_at, const void *src, size_t src_size, void *src_at";
  return {
    versionString: library.func("const char *ZSTD_versionString(void)"),
    isError: library.func("uint32_t ZSTD_isError(size_t code)"),
    getErrorName: library.func("const char *ZSTD_getErrorName(size_t code)"),
    createDCtx: library.func("void *ZSTD_createDCtx(void)"),
    freeDCtx: library.func("size_t ZSTD_freeDCtx(void *context)"),
    createCCtx: library.func("void *ZSTD_createCCtx(void)"),
    freeCCtx: library.func("size_t ZSTD_freeCCtx(void *context)"),
    setParameter: library.func(
      "size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)",
    ),
    decompress: library.func(`size_t ZSTD_decompressStream_simpleArgs(void *context, ${buffers})`),
    compress: library.func(
      `size_t ZSTD_compressStream2_simpleArgs(void *context, ${buffers}, int end)`,
    ),
  };
}

/** A context of the library, freed by whoever uses it, or at the latest with the object that has it. */
const abandoned = new FinalizationRegistry<() => void>((release) => release());

class Streaming {
  readonly functions: Functions;
  readonly out = new Uint8Array(OUT_SIZE);
  readonly outAt = new BigUint64Array(1);
  readonly inAt = new BigUint64Array(1);
  #context: Context | undefined;
  readonly #free: (context: Context) => unknown;

  constructor(functions: Functions, context: Context | null, free: (context: Context) => unknown) {
    if (context === null) throw new Error("zstd: no memory");
    this.functions = functions;
    this.#context = context;
    this.#free = free;
    abandoned.register(this, () => free(context), this);
  }

  get context(): Context {
    if (this.#context === undefined) throw new TypeError("zstd: the stream is closed");
    return this.#context;
  }

  check(code: number): number {
    if (this.functions.isError(code) === 0) return code;
    this.close();
    throw new Error(`zstd: ${this.functions.getErrorName(code)}`);
  }

  close(): void {
    if (this.#context === undefined) return;
    abandoned.unregister(this);
    this.#free(this.#context);
    this.#context = undefined;
  }
}

class Decompressor extends Streaming implements ZstdDecompressor {
  #isBetweenFrames = true;

  constructor(functions: Functions) {
    super(functions, functions.createDCtx(), functions.freeDCtx);
  }

  *push(bytes: Uint8Array): Generator<Uint8Array, void> {
    this.inAt[0] = 0n;
    for (let at = 0, isFull = false; at < bytes.length || isFull;) {
      this.outAt[0] = 0n;
      const hint = this.check(
        this.functions.decompress(
          this.context,
          this.out,
          OUT_SIZE,
          this.outAt,
          bytes,
          bytes.length,
          this.inAt,
        ),
      );
      at = Number(this.inAt[0]);
      const size = Number(this.outAt[0]);
      this.#isBetweenFrames = hint === 0;
      // There may be more of this frame, though all input is used up.
      isFull = size === OUT_SIZE && !this.#isBetweenFrames;
      if (size > 0) yield this.out.subarray(0, size);
    }
  }

  finish(): void {
    this.close();
    if (!this.#isBetweenFrames) throw new Error("zstd: the last frame is cut");
  }
}

class FrameCompressor extends Streaming implements ZstdFrameCompressor {
  constructor(functions: Functions, level: number) {
    super(functions, functions.createCCtx(), functions.freeCCtx);
    this.check(functions.setParameter(this.context, ZSTD_c_compressionLevel, level));
  }

  *push(bytes: Uint8Array): Generator<Uint8Array, void> {
    this.inAt[0] = 0n;
    while (Number(this.inAt[0]) < bytes.length) {
      this.#step(bytes, ZSTD_e_continue);
      if (this.outAt[0]! > 0n) yield this.out.subarray(0, Number(this.outAt[0]));
    }
  }

  *finish(): Generator<Uint8Array, void> {
    this.inAt[0] = 0n;
    // A call of its own with nothing: with the last bytes it would put their number into the frame.
    for (let left = 1; left > 0;) {
      left = this.#step(new Uint8Array(0), ZSTD_e_end);
      if (this.outAt[0]! > 0n) yield this.out.subarray(0, Number(this.outAt[0]));
    }
    this.close();
  }

  #step(bytes: Uint8Array, end: number): number {
    this.outAt[0] = 0n;
    const { context, out, outAt, inAt } = this;
    return this.check(
      this.functions.compress(context, out, OUT_SIZE, outAt, bytes, bytes.length, inAt, end),
    );
  }
}
