/**
 * Writes splitstreams byte for byte as composefs-rs does, down to the zstd frames, which are the
 * host's: two implementations find each other's streams by name, never by their digests.
 */

import { bytesOf, compareByteStrings, writeByteString } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import {
  DIGEST_SIZE,
  FS_VERITY_HASH_ALG,
  digestAlgorithm,
  digestBytes,
} from "../fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../fsverity/digest.ts";
import type { Compression } from "./compression.ts";
import {
  LG_BLOCKSIZE,
  SPLITSTREAM_HEADER,
  SPLITSTREAM_INFO,
  SPLITSTREAM_MAGIC,
  SPLITSTREAM_VERSION,
} from "./format.ts";
import { storeZstdFrame } from "./zstd-frame.ts";

/** How to make a stream. */
export interface SplitStreamWriterOptions {
  /** Of all digests of the repository. */
  readonly algorithm: FsVerityAlgorithm;
  /** See {@link CONTENT_TYPE}. */
  readonly contentType: bigint;
  /** Without one the frames are stored without compression, but for runs of one byte. */
  readonly compression?: Compression | undefined;
}

/** The place of an object in a stream, whose digest may still be on its way. */
export interface ExternalChunk {
  digest: FsVerityDigest | undefined;
}

/** Inline data goes into buffers of this size, which many chunks share. */
const BUFFER_SIZE = 1 << 16;

/** Collects one stream in memory: the inline data, and a place for each object. */
export class SplitStreamWriter {
  readonly #options: SplitStreamWriterOptions;
  /** Inline data and objects in order; neighbouring inline data may be in several parts. */
  readonly #parts: (Uint8Array | ExternalChunk)[] = [];
  readonly #extraObjects: FsVerityDigest[] = [];
  readonly #streams = new Digests();
  readonly #names = new Map<ByteString, number>();
  #size = 0;
  #buffer = new Uint8Array(0);
  /** Where the inline data in `#buffer` that is not among the parts yet starts and ends. */
  #start = 0;
  #end = 0;

  constructor(options: SplitStreamWriterOptions) {
    this.#options = options;
  }

  /** Bytes of the file so far. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes to the file; they are copied. */
  writeInline(bytes: Uint8Array): void {
    this.#size += bytes.length;
    for (let at = 0; at < bytes.length;) {
      if (this.#end === this.#buffer.length) {
        this.#closeInline();
        this.#buffer = new Uint8Array(BUFFER_SIZE);
        this.#start = this.#end = 0;
      }
      const part = bytes.subarray(at, at + this.#buffer.length - this.#end);
      this.#buffer.set(part, this.#end);
      this.#end += part.length;
      at += part.length;
    }
  }

  /**
   * Adds an object of `size` bytes to the file. The digest may be set later, on what is returned: the
   * object can be hashed while the stream goes on.
   */
  writeExternal(size: number, digest?: FsVerityDigest): ExternalChunk {
    this.#size += size;
    this.#closeInline();
    const chunk: ExternalChunk = { digest };
    this.#parts.push(chunk);
    return chunk;
  }

  /** Keeps an object alive that is no part of the file. */
  addObject(digest: FsVerityDigest): void {
    this.#extraObjects.push(digest);
  }

  /** Refers to another stream, or an image. A name that comes twice keeps the later digest. */
  addNamedRef(name: ByteString, digest: FsVerityDigest): void {
    this.#names.set(name, this.#streams.index(this.#checked(digest)));
  }

  /** Returns the stream. Throws a `TypeError` when a digest is missing or of another algorithm. */
  finish(): Uint8Array {
    this.#closeInline();
    const objects = new Digests();
    for (const part of this.#parts) {
      if (!(part instanceof Uint8Array)) objects.index(this.#checked(part.digest));
    }
    for (const digest of this.#extraObjects) objects.index(this.#checked(digest));
    const sections = {
      streamRefs: this.#streams.bytes(this.#options.algorithm),
      objectRefs: objects.bytes(this.#options.algorithm),
      namedRefs: this.#compress(this.#namedRefs()),
      stream: this.#compress(this.#chunks(objects)),
    };
    return this.#layOut(sections);
  }

  #layOut(
    sections: Readonly<Record<"streamRefs" | "objectRefs" | "namedRefs" | "stream", Uint8Array>>,
  ): Uint8Array {
    const fixed = SPLITSTREAM_HEADER.size + SPLITSTREAM_INFO.size;
    const { streamRefs, objectRefs, namedRefs, stream } = sections;
    const size = fixed + streamRefs.length + objectRefs.length + namedRefs.length + stream.length;
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    const range = (at: number, start: number, end: number): void => {
      view.setBigUint64(at, BigInt(start), true);
      view.setBigUint64(at + 8, BigInt(end), true);
    };
    writeByteString(SPLITSTREAM_MAGIC as ByteString, bytes, SPLITSTREAM_HEADER.magic);
    bytes[SPLITSTREAM_HEADER.version] = SPLITSTREAM_VERSION;
    bytes[SPLITSTREAM_HEADER.algorithm] = FS_VERITY_HASH_ALG[this.#options.algorithm];
    bytes[SPLITSTREAM_HEADER.lgBlocksize] = LG_BLOCKSIZE;
    const info = SPLITSTREAM_HEADER.size;
    range(SPLITSTREAM_HEADER.info, info, fixed);
    view.setBigUint64(info + SPLITSTREAM_INFO.contentType, this.#options.contentType, true);
    view.setBigUint64(info + SPLITSTREAM_INFO.streamSize, BigInt(this.#size), true);
    let at = fixed;
    for (const name of ["streamRefs", "objectRefs", "namedRefs", "stream"] as const) {
      bytes.set(sections[name], at);
      range(info + SPLITSTREAM_INFO[name], at, at + sections[name].length);
      at += sections[name].length;
    }
    return bytes;
  }

  *#namedRefs(): Generator<Uint8Array, void> {
    const names = [...this.#names].sort((a, b) => compareByteStrings(a[0], b[0]));
    for (const [name, index] of names) yield bytesOf(`${index}:${name}\0` as ByteString);
  }

  /** Neighbouring inline parts make one chunk. */
  *#chunks(objects: Digests): Generator<Uint8Array, void> {
    const parts = this.#parts;
    for (let first = 0; first < parts.length;) {
      const part = parts[first]!;
      if (!(part instanceof Uint8Array)) {
        yield chunkNumber(objects.index(part.digest!));
        first++;
        continue;
      }
      const inline: Uint8Array[] = [];
      for (let next = parts[first]; next instanceof Uint8Array; next = parts[++first]) {
        inline.push(next);
      }
      yield chunkNumber(-inline.reduce((sum, { length }) => sum + length, 0));
      yield* inline;
    }
  }

  #closeInline(): void {
    if (this.#end > this.#start) this.#parts.push(this.#buffer.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #compress(pieces: Iterable<Uint8Array>): Uint8Array {
    const { compression } = this.#options;
    return compression === undefined ? storeZstdFrame(pieces) : compression.compressFrame(pieces);
  }

  #checked(digest: FsVerityDigest | undefined): FsVerityDigest {
    if (digest === undefined) throw new TypeError("an object of the stream has no digest yet");
    if (digestAlgorithm(digest) !== this.#options.algorithm) {
      throw new TypeError(`digest "${digest}" is not ${this.#options.algorithm}`);
    }
    return digest;
  }
}

/** Digests without repetition, in the order in which they came. */
class Digests {
  readonly #indexes = new Map<FsVerityDigest, number>();

  index(digest: FsVerityDigest): number {
    const known = this.#indexes.get(digest);
    if (known !== undefined) return known;
    this.#indexes.set(digest, this.#indexes.size);
    return this.#indexes.size - 1;
  }

  bytes(algorithm: FsVerityAlgorithm): Uint8Array {
    const each = DIGEST_SIZE[algorithm];
    const bytes = new Uint8Array(each * this.#indexes.size);
    for (const [digest, index] of this.#indexes) bytes.set(digestBytes(digest), each * index);
    return bytes;
  }
}

function chunkNumber(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes;
}
