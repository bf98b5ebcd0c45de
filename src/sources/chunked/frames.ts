/**
 * The archive of a layer, in order: what the tar-split has, files of the repository as the objects that
 * they are, and what is missing out of ranges of the blob, each file verified by its digest.
 */

import { createHash } from "node:crypto";
import { corruptChunked } from "../../core/chunked/format.ts";
import { reassembleLayer } from "../../core/chunked/reassemble.ts";
import { readTarSplit } from "../../core/chunked/tar-split.ts";
import type { TocChunk, TocEntry } from "../../core/chunked/toc-entry.ts";
import { displayText } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { TarLimits } from "../../core/tar/limits.ts";
import type { Zstd, ZstdDecompressor } from "../../floor/mod.ts";
import type { PartialPlan } from "./plan.ts";
import type { RangeReader } from "./ranges.ts";
import type { ChunkedIndex } from "./read-index.ts";

/** Of the tar-split so much is handed on at a time. */
const BATCH_SIZE = 1 << 16;
const ZEROS = new Uint8Array(1 << 16);

/** A piece of the archive. */
export type ChunkedFrame =
  | { readonly kind: "tar"; readonly bytes: Uint8Array }
  /** The whole content of a file, as an object that the repository has. */
  | { readonly kind: "object"; readonly digest: FsVerityDigest; readonly size: number };

/** What frames are made of. */
export interface FrameParts {
  readonly index: ChunkedIndex;
  readonly plan: PartialPlan;
  readonly reader: RangeReader;
  readonly zstd: Zstd;
  readonly limits: Partial<TarLimits>;
}

/**
 * Yields the archive; bytes are valid until the next frame is asked for. Throws `content-mismatch`,
 * `corrupt-chunked`, TarError, and what the source throws.
 */
export async function* chunkedFrames(parts: FrameParts): AsyncGenerator<ChunkedFrame, void> {
  const { index, plan, limits } = parts;
  const batch = new Batch();
  const contents = new Contents(parts);
  try {
    const records = readTarSplit(index.tarSplit());
    for (const part of reassembleLayer(index.toc, records, { limits })) {
      if (part.kind === "raw") {
        if (!batch.add(part.bytes)) {
          yield* batch.take();
          // What does not fit an empty batch is handed on as it is.
          if (!batch.add(part.bytes)) yield { kind: "tar", bytes: part.bytes };
        }
        continue;
      }
      yield* batch.take();
      const digest = plan.known.get(part.toc.sha256);
      if (digest !== undefined) yield { kind: "object", digest, size: part.toc.size };
      else for await (const bytes of contents.of(part.toc)) yield { kind: "tar", bytes };
    }
    yield* batch.take();
  } finally {
    await parts.reader.close();
  }
}

/** Small pieces together: handing one on costs more than copying it. */
class Batch {
  readonly #buffer = new Uint8Array(BATCH_SIZE);
  #filled = 0;

  /** Adds bytes, if there is room for them. */
  add(bytes: Uint8Array): boolean {
    if (bytes.length > this.#buffer.length - this.#filled) return false;
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
    return true;
  }

  *take(): Generator<ChunkedFrame, void> {
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    if (bytes.length > 0) yield { kind: "tar", bytes };
  }
}

/** The contents that are fetched, one after the other. */
class Contents {
  readonly #reader: RangeReader;
  readonly #zstd: Zstd;
  /** How often contents still come. */
  readonly #repeated: Map<string, number>;
  readonly #kept = new Map<string, Uint8Array>();

  constructor({ reader, zstd, plan }: FrameParts) {
    this.#reader = reader;
    this.#zstd = zstd;
    this.#repeated = new Map(plan.repeated);
  }

  /** Yields the content of one file; throws at its end if it is another one. */
  async *of(entry: TocEntry): AsyncGenerator<Uint8Array, void> {
    const { sha256 } = entry;
    const left = this.#repeated.get(sha256);
    const kept = this.#kept.get(sha256);
    if (left !== undefined) this.#repeated.set(sha256, left - 1);
    if (kept !== undefined) {
      if (left === 1) this.#kept.delete(sha256);
      yield kept;
      return;
    }
    const copy = left === undefined ? undefined : new Uint8Array(entry.size);
    const hash = createHash("sha256");
    let size = 0;
    for await (const bytes of this.#unpack(entry)) {
      hash.update(bytes);
      copy?.set(bytes, size);
      size += bytes.length;
      yield bytes;
    }
    const found = hash.digest("hex");
    if (found !== sha256) {
      const reason = `its content has the digest sha256:${found} instead of sha256:${sha256}`;
      throw mismatch(entry, reason);
    }
    if (copy !== undefined) this.#kept.set(sha256, copy);
  }

  /** Yields exactly the bytes of the file, or throws. */
  async *#unpack({ name, chunks }: TocEntry): AsyncGenerator<Uint8Array, void> {
    for (let first = 0; first < chunks.length;) {
      const chunk = chunks[first]!;
      if (chunk.kind === "zeros") {
        for (let left = chunk.size; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
        first++;
        continue;
      }
      // Frames of neighbouring chunks are one stream.
      let next = first + 1;
      while (chunks[next]?.kind === "data" && chunks[next]?.offset === chunks[next - 1]!.end)
        next++;
      yield* this.#unpackRun(name, chunks.slice(first, next));
      first = next;
    }
  }

  async *#unpackRun(
    name: TocEntry["name"],
    run: readonly TocChunk[],
  ): AsyncGenerator<Uint8Array, void> {
    const size = run.reduce((sum, chunk) => sum + chunk.size, 0);
    const decompressor = this.#zstd.createDecompressor();
    const wrong = (reason: string, cause?: unknown): ComposefsError =>
      corruptChunked(`"${displayText(name)}": ${reason}`, cause);
    let done = 0;
    try {
      for await (const packed of this.#reader.read(run[0]!.offset, run.at(-1)!.end)) {
        for (const bytes of inflate(decompressor, packed, wrong)) {
          done += bytes.length;
          if (done > size) throw wrong("its frames hold more than its size");
          yield bytes;
        }
      }
      try {
        decompressor.finish();
      } catch (cause) {
        throw wrong("its frames are cut", cause);
      }
      if (done !== size) throw wrong("its frames hold less than its size");
    } finally {
      decompressor.close();
    }
  }
}

function* inflate(
  decompressor: ZstdDecompressor,
  packed: Uint8Array,
  wrong: (reason: string, cause: unknown) => Error,
): Generator<Uint8Array, void> {
  const pieces = decompressor.push(packed)[Symbol.iterator]();
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = pieces.next();
    } catch (cause) {
      throw wrong("its frames cannot be decompressed", cause);
    }
    if (next.done === true) return;
    yield next.value;
  }
}

function mismatch({ name }: TocEntry, reason: string): ComposefsError {
  return new ComposefsError(
    "content-mismatch",
    `Cannot use file "${displayText(name)}" of zstd:chunked layer: ${reason}`,
    { hint: "the source is broken or hostile; pull the layer whole with --no-partial" },
  );
}
