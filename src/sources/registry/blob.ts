/**
 * One blob, from its first byte to its last, whatever happens to the connection: where a transfer is
 * cut, the next request asks for the rest. The digest is over the whole, wherever its parts came from.
 *
 * Source: OCI distribution specification 1.1, "Pulling blobs"; RFC 9110, 13.1.5 (If-Range) and 14.
 */

import type { Descriptor } from "../../core/oci/descriptor.ts";
import type { SourceCallOptions } from "../image-source.ts";
import { parseContentRange } from "./http/content-range.ts";
import { DigestCheck } from "./digest-check.ts";
import type { Answer } from "./http/exchange.ts";
import { nameOf } from "./manifests.ts";
import type { Repository } from "./manifests.ts";
import { NetworkError } from "./http/network-error.ts";
import { isRetryable } from "./http/retry.ts";
import type { Retries } from "./http/retry.ts";
import { pullScope } from "./auth/scope.ts";

/** A transfer that brought so much before it was cut is not counted as a failure. */
const PROGRESS_MIN = 1024 * 1024;

/** Streams a blob, verified. Throws `content-mismatch`, `registry-not-found`, `network-failed`, … */
export async function* openBlob(
  place: Repository,
  descriptor: Descriptor,
  { signal }: SourceCallOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const what = `blob ${descriptor.digest} of ${nameOf(place)}`;
  const check = new DigestCheck(descriptor, what);
  const retries = place.client.retries();
  const download = new Download(place, descriptor, check, what, retries, signal);
  // An empty blob is asked for as well: it may not be there.
  for (;;) {
    const before = check.size;
    try {
      for await (const piece of download.rest()) {
        check.update(piece);
        yield piece;
      }
      break;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isRetryable(error)) throw error;
      // All is there, but for the end of the answer.
      if (check.size === descriptor.size) break;
      if (check.size - before >= PROGRESS_MIN) retries.forgive();
      if (!(await retries.next(undefined, signal))) throw error;
    }
  }
  check.finish();
}

/** Asks for what is missing of a blob, and finds out what a server makes of ranges. */
class Download {
  readonly #place: Repository;
  readonly #descriptor: Descriptor;
  readonly #check: DigestCheck;
  readonly #what: string;
  readonly #retries: Retries;
  readonly #signal: AbortSignal | undefined;
  #validator: string | undefined;
  #canResume = true;

  constructor(
    place: Repository,
    descriptor: Descriptor,
    check: DigestCheck,
    what: string,
    retries: Retries,
    signal: AbortSignal | undefined,
  ) {
    this.#place = place;
    this.#descriptor = descriptor;
    this.#check = check;
    this.#what = what;
    this.#retries = retries;
    this.#signal = signal;
  }

  /** The bytes behind those that the check has seen. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    const from = this.#check.size;
    const answer = await this.#ask(this.#canResume ? from : 0);
    switch (answer.status) {
      case 200:
        this.#expect(answer, this.#descriptor.size);
        yield* behind(answer.body, from);
        return;
      case 206: {
        const range = parseContentRange(answer.headers["content-range"]);
        const { size } = this.#descriptor;
        if (range?.offset !== from || (range.total ?? size) !== size) {
          answer.discard();
          this.#canResume = false;
          yield* this.rest();
          return;
        }
        yield* answer.body;
        if (this.#check.size < size) throw new NetworkError(answer.url, "only a part came", "cut");
        return;
      }
      case 416:
        // The server has less, or another one, or cannot do ranges of this kind.
        if (!this.#canResume || from === 0) break;
        answer.discard();
        this.#canResume = false;
        yield* this.rest();
        return;
    }
    throw await this.#place.client.failure(`get ${this.#what}`, answer);
  }

  async #ask(from: number): Promise<Answer> {
    const { client, repository } = this.#place;
    const headers: Record<string, string> = { accept: "*/*", "accept-encoding": "identity" };
    if (from > 0) {
      headers["range"] = `bytes=${from}-`;
      if (this.#validator !== undefined) headers["if-range"] = this.#validator;
    }
    const answer = await client.open({
      method: "GET",
      path: `/v2/${repository}/blobs/${this.#descriptor.digest}`,
      headers,
      scopes: [pullScope(repository)],
      retries: this.#retries,
      signal: this.#signal,
    });
    // A weak one may not be asked with (RFC 9110, 13.1.5).
    const { etag } = answer.headers;
    if (etag !== undefined && etag.startsWith('"')) this.#validator = etag;
    return answer;
  }

  /** A server that announces another length has another blob; its bytes need not be read. */
  #expect(answer: Answer, size: number): void {
    const announced = answer.headers["content-length"];
    if (announced === undefined || Number(announced) === size) return;
    answer.discard();
    throw this.#check.mismatch(`it has ${announced} bytes instead of ${size}`);
  }
}

/** Leaves out the first `count` bytes: a server that ignores ranges sends them again. */
async function* behind(
  pieces: AsyncIterable<Uint8Array>,
  count: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let rest = count;
  for await (const piece of pieces) {
    if (rest >= piece.length) {
      rest -= piece.length;
    } else {
      yield rest === 0 ? piece : piece.subarray(rest);
      rest = 0;
    }
  }
}
