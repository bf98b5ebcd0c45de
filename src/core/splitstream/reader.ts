/**
 * Reads splitstreams, with the present and the old header.
 *
 * Opening reads the fixed parts alone: what a stream refers to is known without decompressing, which
 * is all that garbage collection asks for. Objects are not read and not verified here.
 */

import { byteStringFrom } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { SourceReader } from "../bytes/reader.ts";
import type { ByteSource } from "../bytes/source.ts";
import { ComposefsError } from "../errors.ts";
import { DIGEST_SIZE, FS_VERITY_HASH_ALG, fsVerityDigestFrom } from "../fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../fsverity/digest.ts";
import type { Decompression } from "./compression.ts";
import {
  LG_BLOCKSIZE,
  OLD_SPLITSTREAM_HEADER,
  SPLITSTREAM_HEADER,
  SPLITSTREAM_INFO,
  SPLITSTREAM_MAGIC,
  SPLITSTREAM_VERSION,
} from "./format.ts";
import type { NamedRef } from "./format.ts";

/** A piece of the file that a stream stands for. */
export type SplitChunk =
  /** Bytes, valid until the next chunk is asked for. One inline chunk may come in several pieces. */
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  /** The whole content of an object. */
  | { readonly kind: "external"; readonly digest: FsVerityDigest };

interface Range {
  readonly start: number;
  readonly size: number;
}

/** Compressed bytes that are handed to the decompressor at a time. */
const PIECE = 1 << 16;
/** Most bytes of all named references: some 100 a layer. */
const NAMED_REFS_MAX = 1 << 24;
const NUL = 0;

/** An open splitstream. It does not own its source. */
export class SplitStream {
  readonly algorithm: FsVerityAlgorithm;
  /** What the file is; see {@link CONTENT_TYPE}. */
  readonly contentType: bigint;
  /** Bytes of the file, inline and external, as the header claims. */
  readonly size: number;
  /** Streams and images that this one refers to; `namedRefs` says by which names. */
  readonly streamRefs: readonly FsVerityDigest[];
  /** Every object that this stream needs. */
  readonly objectRefs: readonly FsVerityDigest[];
  readonly #reader: SourceReader;
  readonly #stream: Range;
  readonly #namedRefs: Range;

  /** Throws ComposefsError `corrupt-stream`. */
  constructor(source: ByteSource) {
    this.#reader = new SourceReader(source, () => corrupt("it is cut"));
    const header = headerLayout(this.#reader);
    const version = this.#reader.u8(header.version);
    if (version !== SPLITSTREAM_VERSION) throw corrupt(`version ${version} is not known`);
    this.algorithm = algorithmOf(this.#reader.u8(header.algorithm));
    const lgBlocksize = this.#reader.u8(header.lgBlocksize);
    if (lgBlocksize !== LG_BLOCKSIZE) throw corrupt(`block size 2^${lgBlocksize} is not 4096`);
    const info = this.#range(header.info);
    if (info.size < SPLITSTREAM_INFO.size) throw corrupt("its info section is cut");
    this.contentType = BigInt.asUintN(
      64,
      this.#reader.i64(info.start + SPLITSTREAM_INFO.contentType),
    );
    this.size = this.#reader.u64(info.start + SPLITSTREAM_INFO.streamSize);
    if (!Number.isSafeInteger(this.size)) throw corrupt("its size is over 2^53 bytes");
    this.streamRefs = this.#digests(this.#range(info.start + SPLITSTREAM_INFO.streamRefs));
    this.objectRefs = this.#digests(this.#range(info.start + SPLITSTREAM_INFO.objectRefs));
    this.#stream = this.#range(info.start + SPLITSTREAM_INFO.stream);
    this.#namedRefs = this.#range(info.start + SPLITSTREAM_INFO.namedRefs);
  }

  /** Decompresses the named references, in the order of the stream. Throws `corrupt-stream`. */
  namedRefs(decompression: Decompression): NamedRef[] {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (const piece of this.#decompress(this.#namedRefs, decompression)) {
      size += piece.length;
      if (size > NAMED_REFS_MAX) throw corrupt("its named references are over 16 MiB");
      pieces.push(piece.slice());
    }
    const all = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return this.#parseNamedRefs(all);
  }

  /** Yields the pieces of the file in order. Throws `corrupt-stream`. */
  *chunks(decompression: Decompression): Generator<SplitChunk, void> {
    const number = new Uint8Array(8);
    const view = new DataView(number.buffer);
    let numberFilled = 0;
    let inlineLeft = 0;
    let inlineTotal = 0;
    for (const piece of this.#decompress(this.#stream, decompression)) {
      for (let at = 0; at < piece.length;) {
        if (inlineLeft > 0) {
          const bytes = piece.subarray(at, at + inlineLeft);
          at += bytes.length;
          inlineLeft -= bytes.length;
          yield { kind: "inline", bytes };
          continue;
        }
        const part = piece.subarray(at, at + 8 - numberFilled);
        number.set(part, numberFilled);
        numberFilled += part.length;
        at += part.length;
        if (numberFilled < 8) continue;
        numberFilled = 0;
        const value = view.getBigInt64(0, true);
        if (value >= 0n) {
          yield { kind: "external", digest: this.#object(value) };
        } else {
          inlineLeft = Number(-value);
          inlineTotal += inlineLeft;
          // The one bound on what a few compressed bytes may claim.
          if (inlineTotal > this.size) throw corrupt("it holds more inline bytes than its size");
        }
      }
    }
    if (inlineLeft > 0 || numberFilled > 0) throw corrupt("its last chunk is cut");
  }

  #object(index: bigint): FsVerityDigest {
    const digest = index < this.objectRefs.length ? this.objectRefs[Number(index)] : undefined;
    if (digest === undefined)
      throw corrupt(`it refers to object ${index} of ${this.objectRefs.length}`);
    return digest;
  }

  #range(at: number): Range {
    const start = this.#reader.u64(at);
    const end = this.#reader.u64(at + 8);
    if (start > end || end > this.#reader.size) throw corrupt("a section lies outside of it");
    return { start, size: end - start };
  }

  #digests({ start, size }: Range): FsVerityDigest[] {
    const each = DIGEST_SIZE[this.algorithm];
    if (size % each !== 0)
      throw corrupt(`a list of digests has ${size} bytes, not a multiple of ${each}`);
    const bytes = this.#reader.view(start, size);
    const digests: FsVerityDigest[] = [];
    for (let at = 0; at < size; at += each) {
      digests.push(fsVerityDigestFrom(bytes.subarray(at, at + each)));
    }
    return digests;
  }

  *#decompress({ start, size }: Range, decompression: Decompression): Generator<Uint8Array, void> {
    const pieces = decompression.decompress(this.#pieces(start, size))[Symbol.iterator]();
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = pieces.next();
      } catch (cause) {
        // Trouble with the source is not trouble with the frame.
        if (cause instanceof ComposefsError) throw cause;
        throw corrupt("a zstd frame cannot be decompressed", cause);
      }
      if (next.done === true) return;
      yield next.value;
    }
  }

  *#pieces(start: number, size: number): Generator<Uint8Array, void> {
    for (let at = 0; at < size; at += PIECE) {
      yield this.#reader.copy(start + at, Math.min(PIECE, size - at));
    }
  }

  #parseNamedRefs(bytes: Uint8Array): NamedRef[] {
    const refs: NamedRef[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(NUL, at);
      const record = byteStringFrom(bytes.subarray(at, end < 0 ? bytes.length : end));
      const [, index, name] = /^(\d{1,9}):([^]*)$/.exec(record) ?? [];
      const digest = index === undefined ? undefined : this.streamRefs[Number(index)];
      if (end < 0 || digest === undefined) throw corrupt("a named reference makes no sense");
      refs.push({ name: name as ByteString, digest });
      at = end + 1;
    }
    return refs;
  }
}

/** Opens a splitstream; reads the header, the info section and the digests. Throws `corrupt-stream`. */
export function openSplitStream(source: ByteSource): SplitStream {
  return new SplitStream(source);
}

/**
 * Yields the file again, bit for bit. `readObject` yields the content of an object; it verifies it if
 * anything does.
 */
export function* joinSplitStream(
  stream: SplitStream,
  decompression: Decompression,
  readObject: (digest: FsVerityDigest) => Iterable<Uint8Array>,
): Generator<Uint8Array, void> {
  for (const chunk of stream.chunks(decompression)) {
    if (chunk.kind === "inline") yield chunk.bytes;
    else yield* readObject(chunk.digest);
  }
}

function headerLayout(
  reader: SourceReader,
): Omit<typeof SPLITSTREAM_HEADER, "size"> | typeof OLD_SPLITSTREAM_HEADER {
  if (reader.size < SPLITSTREAM_HEADER.size) throw corrupt("it is shorter than a header");
  for (const layout of [SPLITSTREAM_HEADER, OLD_SPLITSTREAM_HEADER]) {
    if (reader.text(layout.magic, SPLITSTREAM_MAGIC.length) === SPLITSTREAM_MAGIC) return layout;
  }
  throw corrupt("its magic is missing");
}

function algorithmOf(id: number): FsVerityAlgorithm {
  if (id === FS_VERITY_HASH_ALG.sha256) return "sha256";
  if (id === FS_VERITY_HASH_ALG.sha512) return "sha512";
  throw corrupt(`fs-verity algorithm ${id} is not known`);
}

function corrupt(reason: string, cause?: unknown): ComposefsError {
  const options = cause === undefined ? {} : { cause };
  return new ComposefsError("corrupt-stream", `Cannot read splitstream: ${reason}`, options);
}
