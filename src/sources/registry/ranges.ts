/**
 * Parts of a blob, in as few requests as the server's manners allow: many ranges in one, or one each,
 * or, from a server that knows no ranges, out of the whole.
 *
 * Source: RFC 9110, 14. Nothing is verified here: parts have no digests. What is yielded lies in the
 * ranges, in their order, and is all of them.
 */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import type { BlobRange, RangeOptions } from "../image-source.ts";
import { NoRangesError } from "../no-ranges.ts";
import { parseContentRange } from "./http/content-range.ts";
import type { Answer } from "./http/exchange.ts";
import { nameOf } from "./manifests.ts";
import type { Repository } from "./manifests.ts";
import { BadParts, multipartBoundary, readParts } from "./http/multipart.ts";
import type { PartPiece } from "./http/multipart.ts";
import { NetworkError } from "./http/network-error.ts";
import { isRetryable } from "./http/retry.ts";
import type { Retries } from "./http/retry.ts";
import { pullScope } from "./auth/scope.ts";

/** Servers refuse long headers: nginx has 8 KiB for all of them. */
const HEADER_LENGTH_MAX = 4000;
/** And many ranges: Apache has 200. */
const RANGES_MAX = 128;

/** A transfer that brought so much before it was cut is not counted as a failure. */
const PROGRESS_MIN = 65_536;

/** What a server can do; found out by asking it. */
export type RangeManners = "many" | "one" | "none";

/** What is known of a registry, kept from one call to the next. */
export interface RangeKnowledge {
  manners: RangeManners;
}

/** Streams parts of a blob. Throws `invalid-manifest` for ranges outside of it; `network-failed`, NoRangesError, … */
export async function* openRanges(
  place: Repository,
  descriptor: Descriptor,
  ranges: readonly BlobRange[],
  knowledge: RangeKnowledge,
  { signal, onlyParts = false }: RangeOptions = {},
): AsyncGenerator<PartPiece, void, undefined> {
  const wanted = new Wanted(descriptor, ranges);
  const retries = place.client.retries();
  const asking = new Asking(place, descriptor, retries, signal);
  while (!wanted.isDone) {
    const before = wanted.received;
    const { manners } = knowledge;
    if (manners === "none" && onlyParts && before === 0) {
      throw new NoRangesError(`blob ${descriptor.digest} of ${nameOf(place)}`);
    }
    try {
      const batch = wanted.next(manners);
      const answer = await asking.ask(manners === "none" ? undefined : batch);
      const pieces = piecesOf(answer, batch, knowledge);
      if (pieces === undefined) continue;
      for await (const piece of pieces) yield* wanted.take(piece);
      const received = wanted.received - before;
      if (received >= batch.reduce((sum, { length }) => sum + length, 0)) continue;
      // Some answer a request for many with the first one.
      if (manners === "many" && received > 0) knowledge.manners = "one";
      else throw new NetworkError(answer.url, "not all of what was asked for came", "cut");
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof BadParts) {
        if (manners === "none") throw unusable(place, descriptor, error);
        knowledge.manners = manners === "many" ? "one" : "none";
        continue;
      }
      if (!isRetryable(error)) throw error;
      if (wanted.isDone) return;
      if (wanted.received - before >= PROGRESS_MIN) retries.forgive();
      if (!(await retries.next(undefined, signal))) throw error;
    }
  }
}

function unusable(place: Repository, { digest }: Descriptor, cause: BadParts): ComposefsError {
  return new ComposefsError(
    "registry-failed",
    `Cannot get parts of blob ${digest} of ${nameOf(place)}: ${cause.message}`,
    { cause },
  );
}

/** What the answer holds; `undefined` where it taught us to ask in another way. */
function piecesOf(
  answer: Answer,
  batch: readonly BlobRange[],
  knowledge: RangeKnowledge,
): AsyncIterable<PartPiece> | undefined {
  if (answer.status === 200) {
    if (knowledge.manners === "none") return placed(answer.body, 0);
    // Some know single ranges and ignore a request for many.
    answer.discard();
    knowledge.manners = batch.length > 1 ? "one" : "none";
    return undefined;
  }
  const boundary = multipartBoundary(answer.headers["content-type"]);
  if (boundary !== undefined) return readParts(answer.body, boundary);
  const range = parseContentRange(answer.headers["content-range"]);
  if (range !== undefined) return placed(answer.body, range.offset);
  answer.discard();
  throw new BadParts("it does not say which part it sent");
}

async function* placed(
  body: AsyncIterable<Uint8Array>,
  start: number,
): AsyncGenerator<PartPiece, void, undefined> {
  let offset = start;
  for await (const bytes of body) {
    yield { offset, bytes };
    offset += bytes.length;
  }
}

/** What has been asked for and did not come yet. */
class Wanted {
  readonly #ranges: readonly BlobRange[];
  #index = 0;
  /** Bytes of the range at `#index` that came. */
  #done = 0;
  #received = 0;

  constructor(descriptor: Descriptor, ranges: readonly BlobRange[]) {
    for (const { offset, length } of ranges) {
      const isInside =
        Number.isSafeInteger(offset) &&
        Number.isSafeInteger(length) &&
        offset >= 0 &&
        length >= 0 &&
        offset + length <= descriptor.size;
      if (isInside) continue;
      throw new ComposefsError(
        "invalid-manifest",
        `Cannot read ${length} bytes at ${offset} of blob ${descriptor.digest}: it has ${descriptor.size}`,
      );
    }
    this.#ranges = ranges.filter(({ length }) => length > 0);
  }

  get isDone(): boolean {
    return this.#index === this.#ranges.length;
  }

  /** Bytes that came, in all. */
  get received(): number {
    return this.#received;
  }

  /** What to ask for next: as much as fits into one request, and in the order of the blob. */
  next(manners: RangeManners): BlobRange[] {
    const batch: BlobRange[] = [];
    let length = 0;
    for (let i = this.#index; i < this.#ranges.length; i++) {
      const range = i === this.#index ? this.#first() : this.#ranges[i]!;
      const previous = batch.at(-1);
      // Ranges that are not in order in the blob may be sorted by the server.
      if (previous !== undefined && range.offset < previous.offset + previous.length) break;
      length += rangeText(range).length + 1;
      if (batch.length === RANGES_MAX || length > HEADER_LENGTH_MAX) break;
      if (previous !== undefined && previous.offset + previous.length === range.offset) {
        batch[batch.length - 1] = { ...previous, length: previous.length + range.length };
      } else {
        if (manners === "one" && batch.length === 1) break;
        batch.push(range);
      }
    }
    return batch;
  }

  /** The parts of a piece that are wanted next. What lies before or between is dropped. */
  *take({ offset, bytes }: PartPiece): Generator<PartPiece, void, undefined> {
    const end = offset + bytes.length;
    while (!this.isDone) {
      const first = this.#first();
      if (end <= first.offset) return;
      // Pieces have to come in order; waiting for an earlier one would have no bound.
      if (offset > first.offset) throw new BadParts("parts are out of order");
      const from = first.offset - offset;
      const part = bytes.subarray(from, from + first.length);
      this.#done += part.length;
      this.#received += part.length;
      if (this.#done === this.#ranges[this.#index]!.length) {
        this.#index++;
        this.#done = 0;
      }
      yield { offset: first.offset, bytes: part };
      // The next range may begin in the same piece, but never before this one.
      if (from + part.length === bytes.length && this.#done > 0) return;
      if (!this.isDone && this.#first().offset < offset) return;
    }
  }

  /** What is missing of the range that is due. */
  #first(): BlobRange {
    const { offset, length } = this.#ranges[this.#index]!;
    return { offset: offset + this.#done, length: length - this.#done };
  }
}

/** Asks for parts of one blob. */
class Asking {
  readonly #place: Repository;
  readonly #descriptor: Descriptor;
  readonly #retries: Retries;
  readonly #signal: AbortSignal | undefined;

  constructor(
    place: Repository,
    descriptor: Descriptor,
    retries: Retries,
    signal: AbortSignal | undefined,
  ) {
    this.#place = place;
    this.#descriptor = descriptor;
    this.#retries = retries;
    this.#signal = signal;
  }

  /** Without ranges it asks for the whole. */
  async ask(ranges: readonly BlobRange[] | undefined): Promise<Answer> {
    const { client, repository } = this.#place;
    const { digest } = this.#descriptor;
    const range = ranges === undefined ? {} : { range: `bytes=${ranges.map(rangeText).join(",")}` };
    const answer = await client.open({
      method: "GET",
      path: `/v2/${repository}/blobs/${digest}`,
      headers: { accept: "*/*", "accept-encoding": "identity", ...range },
      scopes: [pullScope(repository)],
      retries: this.#retries,
      signal: this.#signal,
    });
    if (answer.status === 200 || answer.status === 206) return answer;
    throw await client.failure(`get parts of blob ${digest} of ${nameOf(this.#place)}`, answer);
  }
}

function rangeText({ offset, length }: BlobRange): string {
  return `${offset}-${offset + length - 1}`;
}
