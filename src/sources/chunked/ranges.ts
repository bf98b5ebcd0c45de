/** Which parts of a blob to ask for, and reading what comes. */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import type { BlobRange, ImageSource, SourceCallOptions } from "../image-source.ts";

/** Ranges with less than this between them are one: a further one costs as much in headers. */
const GAP_MAX = 1024;

/** Ranges of one call: in one request their list still fits the 8 KiB that servers take in a header. */
const RANGES_PER_CALL = 256;

/** Bytes of one call, so that a server that cannot go on does not lose all of a large layer. */
const BYTES_PER_CALL = 64 << 20;

/** Joins ranges that lie close together. They come in order and do not overlap; empty ones are left out. */
export function mergeRanges(ranges: Iterable<BlobRange>): BlobRange[] {
  const merged: { offset: number; length: number }[] = [];
  for (const { offset, length } of ranges) {
    if (length === 0) continue;
    const last = merged.at(-1);
    const lastEnd = last === undefined ? 0 : last.offset + last.length;
    if (last !== undefined && offset - lastEnd < GAP_MAX)
      last.length = offset + length - last.offset;
    else merged.push({ offset, length });
  }
  return merged;
}

/** The sum of the lengths. */
export function bytesOfRanges(ranges: readonly BlobRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}

/** Reads ranges of a blob from the front to the end. End it with `close`. */
export class RangeReader {
  readonly #pieces: AsyncIterator<{ readonly offset: number; readonly bytes: Uint8Array }>;
  readonly #onFetched: (bytes: number) => void;
  readonly #name: string;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Where `#bytes` lies in the blob. */
  #offset = 0;

  /** `ranges` as of {@link mergeRanges}. Nothing is asked for before the first read. */
  constructor(
    source: ImageSource,
    descriptor: Descriptor,
    ranges: readonly BlobRange[],
    options: SourceCallOptions & { readonly onFetched: (bytes: number) => void },
  ) {
    this.#name = `blob ${descriptor.digest} of "${source.name}"`;
    this.#onFetched = options.onFetched;
    this.#pieces = openAll(source, descriptor, ranges, options);
  }

  /**
   * Yields the bytes from `start` to `end`, which must lie in the ranges, behind all that was read before.
   * They are not verified; views, valid until the next one is asked for. Throws `content-mismatch` where
   * the source gives other ranges than those, and what the source throws.
   */
  async *read(start: number, end: number): AsyncGenerator<Uint8Array, void> {
    for (let at = start; at < end;) {
      if (at < this.#offset) throw this.#wrong(`the bytes at ${at} are missing`);
      const skipped = at - this.#offset;
      if (skipped >= this.#bytes.length) {
        await this.#next();
        continue;
      }
      const piece = this.#bytes.subarray(skipped, skipped + end - at);
      at += piece.length;
      yield piece;
    }
  }

  /** Tells the source that nothing more is wanted. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #next(): Promise<void> {
    const next = await this.#pieces.next();
    if (next.done === true) throw this.#wrong("less came than was asked for");
    const { offset, bytes } = next.value;
    this.#onFetched(bytes.length);
    this.#bytes = bytes;
    this.#offset = offset;
  }

  #wrong(reason: string): ComposefsError {
    return new ComposefsError("content-mismatch", `Cannot read ${this.#name}: ${reason}`);
  }
}

async function* openAll(
  source: ImageSource,
  descriptor: Descriptor,
  ranges: readonly BlobRange[],
  options: SourceCallOptions,
): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }, void> {
  for (let at = 0; at < ranges.length;) {
    let [count, size] = [0, 0];
    while (at + count < ranges.length && count < RANGES_PER_CALL) {
      const { length } = ranges[at + count]!;
      if (count > 0 && size + length > BYTES_PER_CALL) break;
      size += length;
      count++;
    }
    const { signal } = options;
    const asked = ranges.slice(at, at + count);
    yield* source.openRanges!(descriptor, asked, { signal, onlyParts: true });
    at += count;
  }
}
