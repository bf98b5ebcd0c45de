/**
 * Requests that arrive: exchanges with redirects followed and failures that pass tried again.
 *
 * Knows nothing of registries. An `authorization` header goes to the host that it was made for and to
 * no other, whatever a redirect says.
 */

import { Agent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { ConnectionOptions } from "node:tls";
import { ComposefsError } from "../../../core/errors.ts";
import type { Clock } from "./clock.ts";
import { exchange } from "./exchange.ts";
import type { Answer, ExchangeRequest } from "./exchange.ts";
import { ANSWER_MAX, REDIRECTS_MAX } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { NetworkError } from "./network-error.ts";
import { TunnelAgent } from "./tunnel-agent.ts";
import { Retries, isPassing, isRetryable } from "./retry.ts";

/** How a transport is made. */
export interface TransportOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  /** Certificates for a host (`name:port`, or `name` for port 443). */
  readonly tls: (host: string) => ConnectionOptions;
  /** Which proxy to go through to an address. */
  readonly proxy: (url: URL) => URL | undefined;
  /** Redirects may leave TLS. */
  readonly isInsecure: boolean;
  /** Told of every try that failed and is made again. */
  readonly onRetry?: ((url: URL, reason: string) => void) | undefined;
}

/** An answer with all of its body. */
export interface WholeAnswer {
  readonly url: URL;
  readonly status: number;
  readonly headers: Answer["headers"];
  readonly bytes: Uint8Array;
}

const REDIRECT = new Set([301, 302, 303, 307, 308]);

/** The connections to the hosts that one source or target needs. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #httpAgent: Agent;
  readonly #httpsAgents = new Map<string, HttpsAgent>();

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#httpAgent = new Agent(this.#agentOptions());
  }

  /** Sends until there is an answer that does not pass by itself; whatever its status is. */
  async open(request: ExchangeRequest, retries = this.retries()): Promise<Answer> {
    return await this.#persist(request, retries, () => this.#follow(request));
  }

  /** The same for a small answer: all of it, within the time for that, and the size. */
  async metadata(
    request: ExchangeRequest,
    maxBytes = ANSWER_MAX,
    retries = this.retries(),
  ): Promise<WholeAnswer> {
    return await this.#persist(request, retries, async () => {
      const total = new TotalLimit(this.#options.limits.metadata, request);
      try {
        const answer = await this.#follow({ ...request, signal: total.signal });
        const bytes = await readWhole(answer, maxBytes);
        return { url: answer.url, status: answer.status, headers: answer.headers, bytes };
      } finally {
        total.end();
      }
    });
  }

  /** A count of tries, by the limits. */
  retries(attempts = this.#options.limits.attempts): Retries {
    return new Retries({ ...this.#options.limits, attempts }, this.#options.clock);
  }

  /** Closes all connections that are not in use. */
  close(): void {
    this.#httpAgent.destroy();
    for (const agent of this.#httpsAgents.values()) agent.destroy();
  }

  async #persist<A extends Answer | WholeAnswer>(
    request: ExchangeRequest,
    retries: Retries,
    send: () => Promise<A>,
  ): Promise<A> {
    const { url, method, body, signal } = request;
    // A stream is sent once; a second PATCH would append its bytes a second time.
    const isRepeatable = body?.kind !== "stream" && method !== "PATCH";
    for (;;) {
      try {
        const answer = await send();
        if (!isRepeatable || !isPassing(answer.status)) return answer;
        if (!(await retries.next(answer.headers["retry-after"], signal))) return answer;
        this.#options.onRetry?.(url, `status ${answer.status}`);
        if ("discard" in answer) answer.discard();
      } catch (error) {
        signal?.throwIfAborted();
        if (!isRepeatable || !isRetryable(error)) throw error;
        if (!(await retries.next(undefined, signal))) throw error;
        this.#options.onRetry?.(url, error.message);
      }
    }
  }

  async #follow(request: ExchangeRequest): Promise<Answer> {
    const seen = new Set<string>();
    let current = request;
    for (;;) {
      const answer = await exchange(current, this.#channel(current.url));
      const { location } = answer.headers;
      if (!REDIRECT.has(answer.status) || location === undefined) return answer;
      answer.discard();
      seen.add(current.url.href);
      const next = this.#target(current.url, location);
      if (seen.has(next.href) || seen.size > REDIRECTS_MAX) {
        throw redirectError(current.url, "it redirects in a loop");
      }
      current = redirected(current, next, answer.status);
    }
  }

  #target(from: URL, location: string): URL {
    if (!URL.canParse(location, from.href)) {
      throw redirectError(from, "it redirects to what is no address");
    }
    const next = new URL(location, from);
    if (next.protocol !== "https:" && next.protocol !== "http:") {
      throw redirectError(from, `it redirects to ${next.protocol}, which is not HTTP`);
    }
    const isDowngrade = from.protocol === "https:" && next.protocol === "http:";
    if (isDowngrade && !this.#options.isInsecure) {
      throw redirectError(from, `it redirects to ${next.host} without encryption`);
    }
    next.username = "";
    next.password = "";
    next.hash = "";
    return next;
  }

  #channel(url: URL): Parameters<typeof exchange>[1] {
    const { limits, clock } = this.#options;
    let httpsAgent = this.#httpsAgents.get(url.host);
    const proxy = this.#options.proxy(url);
    if (httpsAgent === undefined && url.protocol === "https:") {
      const options = { ...this.#agentOptions(), ...this.#options.tls(url.host) };
      httpsAgent =
        proxy === undefined
          ? new HttpsAgent(options)
          : new TunnelAgent(proxy, limits.connect, options);
      this.#httpsAgents.set(url.host, httpsAgent);
    }
    return { httpAgent: this.#httpAgent, httpsAgent, proxy, limits, clock };
  }

  #agentOptions(): { keepAlive: true; maxSockets: number; scheduling: "lifo" } {
    return { keepAlive: true, maxSockets: this.#options.limits.connections, scheduling: "lifo" };
  }
}

/** The request for where a redirect leads. Secrets stay at their host. */
function redirected(request: ExchangeRequest, url: URL, status: number): ExchangeRequest {
  const headers = { ...request.headers };
  if (url.origin !== request.url.origin) delete headers["authorization"];
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (!isRead && (status < 307 || request.body?.kind === "stream")) {
    throw redirectError(request.url, `it answers a ${request.method} with a redirect`);
  }
  return { ...request, url, headers };
}

function redirectError(url: URL, reason: string): ComposefsError {
  return new ComposefsError("registry-failed", `Cannot get an answer from ${url.host}: ${reason}`);
}

/** Reads a body of at most `maxBytes`. Throws `registry-failed` for a longer one. */
export async function readWhole(answer: Answer, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of answer.body) {
    size += piece.length;
    if (size > maxBytes) {
      throw new ComposefsError(
        "registry-failed",
        `Cannot read the answer of ${answer.url.host}: it has more than ${maxBytes} bytes`,
      );
    }
    pieces.push(piece);
  }
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, size);
}

/** A signal that is also aborted when the time for the whole is over. */
class TotalLimit {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;

  constructor(milliseconds: number, request: ExchangeRequest) {
    this.#outer = request.signal;
    this.#timer = setTimeout(() => {
      const reason = `no whole answer within ${milliseconds / 1000} s`;
      this.#controller.abort(new NetworkError(request.url, reason, "stalled"));
    }, milliseconds);
    if (this.#outer?.aborted === true) this.#pass();
    else this.#outer?.addEventListener("abort", this.#pass, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#pass);
  }

  readonly #pass = (): void => this.#controller.abort(this.#outer?.reason);
}
