/**
 * One HTTP request and its answer, with a time limit on every part of it: no redirects, no
 * credentials, no second tries.
 *
 * Errors are {@link NetworkError}, which says whether the request can have reached the server, or the
 * reason of the caller's signal.
 */

import { request as httpRequest } from "node:http";
import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Agent as HttpsAgent } from "node:https";
import type { Clock } from "./clock.ts";
import { NetworkError, networkError } from "./network-error.ts";
import type { Limits } from "./limits.ts";
import { bareHost, proxyAuthorization } from "./proxy.ts";
import { StallTimer } from "./stall-timer.ts";

/** What a request carries. An iterable is sent once, and can not be sent again. */
export type RequestBody =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "stream"; readonly pieces: AsyncIterable<Uint8Array>; readonly size: number };

/** A request, complete. */
export interface ExchangeRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Through what it goes. */
export interface Channel {
  readonly httpAgent: Agent;
  /** There where the address is one of HTTPS. */
  readonly httpsAgent: HttpsAgent | undefined;
  /** For an address of HTTP: the server that asks in our place. */
  readonly proxy?: URL | undefined;
  readonly limits: Limits;
  readonly clock: Clock;
}

/** An answer whose body has not been read. Whoever has it reads `body` to its end, or calls `discard`. */
export interface Answer {
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Throws `NetworkError` where the transfer is cut or stalls. Leaving early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Drops what was not read; a small rest is read, so that the connection can serve again. */
  discard(): void;
}

/** Sends a request and returns the answer as soon as its headers are there. */
export async function exchange(request: ExchangeRequest, channel: Channel): Promise<Answer> {
  request.signal?.throwIfAborted();
  const { url, method, body } = request;
  const headers: Record<string, string> = { ...request.headers };
  if (body !== undefined) {
    headers["content-length"] = String(body.kind === "bytes" ? body.bytes.length : body.size);
  } else if (method === "POST" || method === "PUT" || method === "PATCH") {
    headers["content-length"] = "0";
  }
  const isTls = url.protocol === "https:";
  const sent = isTls
    ? httpsRequest(url, { method, headers, agent: channel.httpsAgent! })
    : plainRequest(url, { method, headers }, channel);
  const exchanging = new Exchange(sent, request, channel);
  return await exchanging.run();
}

/** Without TLS a proxy is asked for the whole address, and reads all of it. */
function plainRequest(
  url: URL,
  { method, headers }: { readonly method: string; readonly headers: Record<string, string> },
  { httpAgent: agent, proxy }: Channel,
): ClientRequest {
  if (proxy === undefined) return httpRequest(url, { method, headers, agent });
  return httpRequest({
    ...{ hostname: bareHost(proxy), port: proxy.port, path: url.href, method, agent },
    headers: { ...headers, host: url.host, ...proxyAuthorization(proxy) },
  });
}

/** So much of an answer that nobody wants is read rather than the connection closed. */
const DRAIN_MAX = 65536;

/** What the caller's own source of bytes threw: no failure of the network. */
class BodyFailure extends Error {}

async function* asBodyFailure(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces;
  } catch (cause) {
    throw new BodyFailure("the source failed", { cause });
  }
}

/** The life of one request: its timers, its signal, and the one error that it ends with. */
class Exchange {
  readonly #sent: ClientRequest;
  readonly #request: ExchangeRequest;
  readonly #channel: Channel;
  #timer: NodeJS.Timeout | undefined;
  #isConnected = false;
  #isAnswered = false;
  /** Nothing of the body is missing: the connection can serve again. */
  #isSent = true;

  constructor(sent: ClientRequest, request: ExchangeRequest, channel: Channel) {
    this.#sent = sent;
    this.#request = request;
    this.#channel = channel;
  }

  async run(): Promise<Answer> {
    const { signal, body, url } = this.#request;
    const answered = this.#answered();
    // Whoever fails first speaks; the other promise must not count as unhandled.
    answered.catch(() => undefined);
    signal?.addEventListener("abort", this.#abort, { once: true });
    try {
      this.#limit("connect", "no connection");
      await this.#send(body);
      this.#sent.end();
      const incoming = await answered;
      this.#clear();
      return this.#answerOf(incoming);
    } catch (error) {
      this.#end();
      this.#sent.destroy();
      signal?.throwIfAborted();
      throw error instanceof BodyFailure
        ? error.cause
        : networkError(error, url, this.#isConnected);
    }
  }

  #answered(): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      this.#sent.once("response", (incoming) => {
        this.#isAnswered = true;
        resolve(incoming);
      });
      // Later errors of the socket are those of whoever reads the body.
      this.#sent.on("error", reject);
      this.#sent.once("socket", (socket) => {
        const connected = (): void => {
          this.#isConnected = true;
          if (this.#timer !== undefined) this.#limit("headers", "no answer");
        };
        if (!socket.connecting && this.#sent.reusedSocket) connected();
        else {
          const isTls = this.#request.url.protocol === "https:";
          socket.once(isTls ? "secureConnect" : "connect", connected);
        }
      });
    });
  }

  /** Writes the body; waits where the server is slow to read, but no longer than for an answer. */
  async #send(body: RequestBody | undefined): Promise<void> {
    if (body === undefined) return;
    if (body.kind === "bytes") {
      this.#sent.write(body.bytes);
      return;
    }
    this.#isSent = false;
    const { closed, stop } = this.#closed();
    try {
      for await (const piece of asBodyFailure(body.pieces)) {
        if (this.#sent.destroyed || this.#isAnswered) return;
        const isDrained = this.#sent.write(piece);
        if (this.#isConnected) this.#limit("headers", "the server does not read");
        if (!isDrained) await Promise.race([drained(this.#sent), closed]);
        // The source may take its time: that is not the server's fault.
        if (this.#isConnected) this.#clear();
      }
    } finally {
      stop();
    }
    this.#isSent = true;
    if (this.#isConnected) this.#limit("headers", "no answer");
  }

  /** Resolves when there is an answer, or no connection any more. */
  #closed(): { readonly closed: Promise<void>; readonly stop: () => void } {
    let stop = (): void => undefined;
    const closed = new Promise<void>((resolve) => {
      const done = (): void => resolve();
      this.#sent.once("response", done);
      this.#sent.once("close", done);
      stop = () => {
        this.#sent.off("response", done);
        this.#sent.off("close", done);
      };
    });
    return { closed, stop };
  }

  #answerOf(incoming: IncomingMessage): Answer {
    const { url } = this.#request;
    let isTaken = false;
    return {
      url,
      status: incoming.statusCode ?? 0,
      headers: incoming.headers,
      body: {
        [Symbol.asyncIterator]: () => {
          isTaken = true;
          return this.#read(incoming);
        },
      },
      discard: () => {
        if (isTaken) return;
        isTaken = true;
        this.#drop(incoming);
      },
    };
  }

  async *#read(incoming: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
    const { clock, limits } = this.#channel;
    const { url, signal } = this.#request;
    const stall = new StallTimer(limits.stall, clock, () =>
      incoming.destroy(
        new NetworkError(url, `no more bytes for ${limits.stall / 1000} s`, "stalled"),
      ),
    );
    try {
      const pieces = incoming[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      for (;;) {
        stall.start();
        const next = await pieces.next();
        stall.stop(next.done === true ? 0 : next.value.length);
        if (next.done === true) break;
        yield next.value;
      }
      // A cut message ends without an error if its end was not announced.
      if (!incoming.complete) throw new NetworkError(url, "the transfer was cut", "cut");
    } catch (error) {
      signal?.throwIfAborted();
      throw networkError(error, url, true);
    } finally {
      stall.end();
      this.#end();
      if (!incoming.complete || !this.#isSent) incoming.destroy();
    }
  }

  /** Reads a small rest in the background, for the connection's sake; closes it otherwise. */
  #drop(incoming: IncomingMessage): void {
    const length = Number(incoming.headers["content-length"] ?? Number.NaN);
    const end = (): void => this.#end();
    incoming.once("close", end);
    incoming.once("error", () => undefined);
    if (this.#isSent && (length <= DRAIN_MAX || this.#request.method === "HEAD")) {
      incoming.setTimeout(this.#channel.limits.stall, () => incoming.destroy());
      incoming.resume();
    } else {
      incoming.destroy();
    }
  }

  readonly #abort = (): void => {
    this.#sent.destroy(new Error("aborted"));
  };

  #limit(which: "connect" | "headers", what: string): void {
    const { limits } = this.#channel;
    const milliseconds = limits[which];
    this.#clear();
    this.#timer = setTimeout(() => {
      const kind = this.#isConnected ? "stalled" : "unreachable";
      const message = `${what} within ${milliseconds / 1000} s`;
      this.#sent.destroy(new NetworkError(this.#request.url, message, kind));
    }, milliseconds);
  }

  #clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #end(): void {
    this.#clear();
    this.#request.signal?.removeEventListener("abort", this.#abort);
  }
}

function drained(sent: ClientRequest): Promise<void> {
  return new Promise((resolve) => sent.once("drain", () => resolve()));
}
