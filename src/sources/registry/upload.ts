/**
 * Blobs into a repository: in one piece, or in several that a broken connection cannot undo.
 *
 * Source: OCI distribution specification 1.1, "Pushing blobs", "Mounting a blob from another repository".
 */

import type { Descriptor } from "../../core/oci/descriptor.ts";
import { ociDigestAlgorithm } from "../../core/oci/oci-digest.ts";
import type { WholeAnswer } from "./http/transport.ts";
import { DigestCheck } from "./digest-check.ts";
import type { RequestBody } from "./http/exchange.ts";
import { nameOf } from "./manifests.ts";
import type { Repository } from "./manifests.ts";
import { NetworkError } from "./http/network-error.ts";
import { isRetryable } from "./http/retry.ts";
import type { Retries } from "./http/retry.ts";
import { pullScope, pushScope } from "./auth/scope.ts";

/** Up to this size a blob is kept in memory, so that its upload can be tried again. */
const KEPT_MAX = 8 * 1024 * 1024;

/** How to upload. */
export interface UploadOptions {
  /** Bytes of a chunk; the whole in one request unless told. */
  readonly chunkSize?: number | undefined;
  /** Repositories of the same registry that may have the blob. */
  readonly mountFrom?: readonly string[] | undefined;
}

/** Stores a blob. Throws `content-mismatch` before it is whole where it is another one. */
export async function uploadBlob(
  place: Repository,
  descriptor: Descriptor,
  content: AsyncIterable<Uint8Array>,
  options: UploadOptions = {},
): Promise<void> {
  const upload = new Upload(place, descriptor);
  let location: URL | undefined;
  for (const from of options.mountFrom ?? []) {
    location = await upload.begin(from);
    // A registry that cannot mount begins an upload instead.
    if (location === undefined || from === options.mountFrom!.at(-1)) break;
    await upload.cancel(location);
  }
  if (options.mountFrom?.length && location === undefined) return;
  const checked = upload.checked(content);
  if (options.chunkSize !== undefined) {
    await upload.inChunks(location ?? (await upload.begin()), checked, options.chunkSize);
  } else if (descriptor.size <= KEPT_MAX) {
    await upload.atOnce(location, await gather(checked));
  } else {
    const { size } = descriptor;
    const target = location ?? (await upload.begin());
    await upload.cancelOnFailure(target, () =>
      upload.finish(target, { kind: "stream", pieces: checked, size }),
    );
  }
}

/** One blob on its way. */
class Upload {
  readonly #place: Repository;
  readonly #descriptor: Descriptor;
  readonly #what: string;
  readonly #retries: Retries;

  constructor(place: Repository, descriptor: Descriptor) {
    this.#place = place;
    this.#descriptor = descriptor;
    this.#what = `blob ${descriptor.digest} to ${nameOf(place)}`;
    this.#retries = place.client.retries();
  }

  /** Where to send the blob; nowhere, when it could be had from another repository. */
  async begin(): Promise<URL>;
  async begin(from: string): Promise<URL | undefined>;
  async begin(from?: string): Promise<URL | undefined> {
    const { digest } = this.#descriptor;
    const { client, repository } = this.#place;
    const query: string[] = [];
    if (from !== undefined) query.push(`mount=${encodeURIComponent(digest)}`, `from=${from}`);
    // Registries take sha256 for granted.
    const algorithm = ociDigestAlgorithm(digest);
    if (algorithm !== "sha256") query.push(`digest-algorithm=${algorithm}`);
    const answer = await client.metadata({
      method: "POST",
      path: `/v2/${repository}/blobs/uploads/${query.length === 0 ? "" : `?${query.join("&")}`}`,
      scopes: [pushScope(repository), ...(from === undefined ? [] : [pullScope(from)])],
      retries: this.#retries,
    });
    if (from !== undefined && answer.status === 201) return undefined;
    if (answer.status !== 202) throw await this.#failure(answer);
    return this.#locate(answer);
  }

  /** The content, verified; its last piece is held back until the digest is known. */
  async *checked(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const check = new DigestCheck(this.#descriptor, `blob ${this.#descriptor.digest}`);
    let held: Uint8Array | undefined;
    for await (const piece of content) {
      if (piece.length === 0) continue;
      check.update(piece);
      if (held !== undefined) yield held;
      // The source may use its buffer again.
      held = piece.slice();
    }
    check.finish();
    if (held !== undefined) yield held;
  }

  /** Sends bytes that are there, again from the start where it fails. */
  async atOnce(begun: URL | undefined, bytes: Uint8Array): Promise<void> {
    let location = begun;
    for (;;) {
      try {
        await this.finish(location ?? (await this.begin()), { kind: "bytes", bytes });
        return;
      } catch (error) {
        if (!isRetryable(error) || !(await this.#retries.next())) throw error;
        // What the server has of it is not known.
        location = undefined;
      }
    }
  }

  /** Sends the last bytes, or all of them, and closes the upload. */
  async finish(location: URL, body?: RequestBody): Promise<void> {
    const { client, repository } = this.#place;
    const answer = await client.metadata({
      method: "PUT",
      path: withDigest(location, this.#descriptor.digest),
      headers: body === undefined ? {} : { "content-type": "application/octet-stream" },
      body,
      scopes: [pushScope(repository)],
      // The upload is gone after the first try, whatever it came to.
      retries: client.retries(1),
    });
    if (answer.status === 201) return;
    const error = await this.#failure(answer);
    if (answer.status < 500 || body?.kind !== "bytes") throw error;
    throw new NetworkError(answer.url, error.message, "cut", { cause: error });
  }

  /** Sends chunk by chunk; after a failure, from where the server says it is. */
  async inChunks(begun: URL, content: AsyncIterable<Uint8Array>, chunkSize: number): Promise<void> {
    await this.cancelOnFailure(begun, async (moved) => {
      let location = begun;
      let offset = 0;
      for await (const chunk of chunks(content, chunkSize)) {
        location = await this.#sendChunk(location, offset, chunk);
        moved(location);
        offset += chunk.length;
      }
      await this.finish(location);
    });
  }

  /** Tells the server that nothing more comes, where something goes wrong; what it says does not matter. */
  async cancelOnFailure(
    begun: URL,
    work: (moved: (location: URL) => void) => Promise<void>,
  ): Promise<void> {
    let location = begun;
    try {
      await work((next) => void (location = next));
    } catch (error) {
      await this.cancel(location);
      throw error;
    }
  }

  async cancel(location: URL): Promise<void> {
    const { client, repository } = this.#place;
    const scopes = [pushScope(repository)];
    const retries = client.retries(1);
    try {
      await client.metadata({ method: "DELETE", path: location, scopes, retries });
    } catch {
      // Registries clean up by themselves after some days.
    }
  }

  async #sendChunk(begun: URL, offset: number, chunk: Uint8Array): Promise<URL> {
    const { client, repository } = this.#place;
    const end = offset + chunk.length;
    let location = begun;
    let from = offset;
    for (;;) {
      let failure: unknown;
      try {
        const bytes = chunk.subarray(from - offset);
        const answer = await client.metadata({
          method: "PATCH",
          path: location,
          headers: {
            "content-type": "application/octet-stream",
            "content-range": `${from}-${end - 1}`,
          },
          body: { kind: "bytes", bytes },
          scopes: [pushScope(repository)],
        });
        if (answer.status === 202) return this.#locate(answer);
        if (answer.status !== 416 && answer.status < 500) throw await this.#failure(answer);
        failure = await this.#failure(answer);
        if (!(await this.#retries.next(answer.headers["retry-after"]))) throw failure;
      } catch (error) {
        failure = error;
        if (!isRetryable(error) || !(await this.#retries.next())) throw error;
      }
      const state = await this.#state(location).catch(() => {
        // Docker's registry does not know an upload any more whose last answer was lost.
        throw failure;
      });
      if (state.received < from || state.received > end) throw this.#lost();
      ({ location } = state);
      if (state.received > from) this.#retries.forgive();
      from = state.received;
      if (from === end) return location;
    }
  }

  /** How much the server has, and where to send the rest. */
  async #state(location: URL): Promise<{ readonly received: number; readonly location: URL }> {
    const { client, repository } = this.#place;
    const answer = await client.metadata({
      method: "GET",
      path: location,
      scopes: [pushScope(repository)],
      retries: this.#retries,
    });
    if (answer.status !== 204) throw await this.#failure(answer);
    const range = /^(?:bytes=)?0-(\d{1,16})$/.exec(answer.headers.range ?? "");
    if (range === null) throw this.#lost();
    // Nothing is `0-0` for some, and so is one byte.
    const last = Number(range[1]);
    return {
      received: last === 0 ? 0 : last + 1,
      location: answer.headers.location === undefined ? location : this.#locate(answer),
    };
  }

  #locate(answer: WholeAnswer): URL {
    return this.#place.client.locate(answer.headers.location, answer.url, `send ${this.#what}`);
  }

  #lost(): Error {
    return new NetworkError(
      new URL(`https://${this.#place.client.registry}`),
      `it lost a part of ${this.#what}`,
      "cut",
    );
  }

  async #failure(answer: WholeAnswer): Promise<Error> {
    return await this.#place.client.failure(`send ${this.#what}`, answer);
  }
}

/** The address as it was given, with the digest at its end: what stands in it may be signed. */
function withDigest(location: URL, digest: string): URL {
  const url = new URL(location);
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** Cuts a stream anew, in pieces of one size but the last. */
async function* chunks(
  pieces: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let waiting: Uint8Array[] = [];
  let length = 0;
  for await (const piece of pieces) {
    let rest = piece;
    while (length + rest.length >= size) {
      const taken = rest.subarray(0, size - length);
      yield Buffer.concat([...waiting, taken]);
      rest = rest.subarray(taken.length);
      waiting = [];
      length = 0;
    }
    if (rest.length > 0) waiting.push(rest);
    length += rest.length;
  }
  if (length > 0) yield Buffer.concat(waiting);
}
