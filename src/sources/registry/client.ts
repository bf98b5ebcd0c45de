/**
 * One registry: its address, what it has to be shown, and what its refusals mean.
 *
 * Source: OCI distribution specification 1.1.
 */

import { displayText, byteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { Authorizer } from "./auth/authorizer.ts";
import type { Clock } from "./http/clock.ts";
import type { Answer, ExchangeRequest } from "./http/exchange.ts";
import { ANSWER_MAX } from "./http/limits.ts";
import type { Limits } from "./http/limits.ts";
import { NetworkError } from "./http/network-error.ts";
import type { Credentials } from "./auth/credentials.ts";
import type { Retries } from "./http/retry.ts";
import { Transport, readWhole } from "./http/transport.ts";
import type { TransportOptions, WholeAnswer } from "./http/transport.ts";

/** A request to a registry. */
export interface RegistryRequest {
  readonly method: ExchangeRequest["method"];
  /** Below the registry's address, `/v2/…`; or an address that the registry gave. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: ExchangeRequest["body"];
  /** What has to be allowed: `repository:name:pull`. */
  readonly scopes: readonly string[];
  /** Counts the tries; as many as the limits allow unless told. */
  readonly retries?: Retries | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a client is made. */
export interface ClientOptions {
  /** `host` or `host:port`, as in a reference. */
  readonly registry: string;
  readonly credentials: () => Promise<Credentials | undefined>;
  readonly isInsecure: boolean;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly tls: TransportOptions["tls"];
  readonly proxy: TransportOptions["proxy"];
  readonly onRetry?: TransportOptions["onRetry"];
}

/** The name that people write for a registry that has another one. */
const HOST_OF: Readonly<Record<string, string>> = { "docker.io": "registry-1.docker.io" };

/** So much of a refusal is read for its words. */
const WORDS_MAX = 65536;

/** Asks one registry. */
export class RegistryClient {
  /** As in a reference, for people. */
  readonly registry: string;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #secure: URL;
  readonly #isInsecure: boolean;
  #base: URL | undefined;

  constructor(options: ClientOptions) {
    const { registry, isInsecure } = options;
    this.registry = registry;
    this.#isInsecure = isInsecure;
    this.#secure = new URL(`https://${HOST_OF[registry] ?? registry}/`);
    if (!isInsecure) this.#base = this.#secure;
    this.#transport = new Transport({ ...options });
    this.#authorizer = new Authorizer({ ...options, transport: this.#transport });
  }

  /** Asks, shows what it takes, and returns the answer, whatever its status is but 401. */
  async open(request: RegistryRequest): Promise<Answer> {
    return await this.#authorized(request, (one, retries) => this.#transport.open(one, retries));
  }

  /** The same for a small answer: all of it. */
  async metadata(request: RegistryRequest, maxBytes = ANSWER_MAX): Promise<WholeAnswer> {
    return await this.#authorized(request, (one, retries) =>
      this.#transport.metadata(one, maxBytes, retries),
    );
  }

  /** A count of tries, by the limits. */
  retries(attempts?: number): Retries {
    return this.#transport.retries(attempts);
  }

  /** What a refusal means, as an error: `what` could not be done. Reads what is left of the answer. */
  async failure(what: string, answer: Answer | WholeAnswer): Promise<ComposefsError> {
    const words = await wordsOf(answer);
    const { status } = answer;
    const reason = `${answer.url.host} answered ${status}${words === "" ? "" : `: ${words}`}`;
    const code: ErrorCode =
      status === 404
        ? "registry-not-found"
        : status === 403 || status === 401
          ? "registry-denied"
          : "registry-failed";
    const hint = status === 429 ? "the registry wants fewer requests: try again later" : undefined;
    return new ComposefsError(
      code,
      `Cannot ${what}: ${reason}`,
      hint === undefined ? {} : { hint },
    );
  }

  /** Whether an address that the registry gave is its own. */
  isOwn(url: URL): boolean {
    return url.origin === this.#base?.origin;
  }

  /**
   * The address that the registry gave as `Location`, relative to `from` or not. Behind some proxies
   * registries do not know that they are asked by TLS; their own addresses are asked so all the same.
   */
  locate(location: string | undefined, from: URL, what: string): URL {
    if (location === undefined || !URL.canParse(location, from.href)) {
      throw new ComposefsError(
        "registry-failed",
        `Cannot ${what}: ${from.host} does not say where`,
      );
    }
    const url = new URL(location, from);
    if (url.host === from.host && from.protocol === "https:") url.protocol = from.protocol;
    const isPlain = url.protocol === "http:" && from.protocol === "https:" && !this.#isInsecure;
    if (isPlain || (url.protocol !== "https:" && url.protocol !== "http:")) {
      throw new ComposefsError(
        "registry-failed",
        `Cannot ${what}: ${from.host} says to ${url.protocol}//${url.host}, which is not encrypted`,
      );
    }
    return url;
  }

  close(): void {
    this.#transport.close();
  }

  async #authorized<A extends Answer | WholeAnswer>(
    request: RegistryRequest,
    send: (request: ExchangeRequest, retries: Retries) => Promise<A>,
  ): Promise<A> {
    const { scopes, signal } = request;
    let shown = await this.#authorizer.current(scopes);
    for (let refusals = 0; ; refusals++) {
      const answer = await this.#sendTo(request, shown, send);
      // A refusal of another host, after a redirect, is not the registry's: it is shown nothing.
      if (answer.status !== 401 || !this.isOwn(answer.url)) return answer;
      const words = await wordsOf(answer);
      const header = await this.#challenge(answer, signal);
      const isWider = header.includes("insufficient_scope");
      const isRepeatable = request.body?.kind !== "stream";
      if (!isRepeatable || refusals > 1 || (refusals === 1 && !isWider)) {
        throw await this.#authorizer.refusal(answer.url, words);
      }
      shown = await this.#authorizer.renew(answer.url, header, scopes, shown, signal);
    }
  }

  /** Some registries refuse without saying what they want, but say it at their front door. */
  async #challenge(answer: Answer | WholeAnswer, signal?: AbortSignal): Promise<string> {
    const header = answer.headers["www-authenticate"];
    if (header !== undefined) return header;
    const door = { method: "GET", url: new URL("/v2/", answer.url), headers: {}, signal } as const;
    const asked = await this.#transport.metadata(door);
    return asked.headers["www-authenticate"] ?? "";
  }

  async #sendTo<A extends Answer | WholeAnswer>(
    request: RegistryRequest,
    shown: string | undefined,
    send: (request: ExchangeRequest, retries: Retries) => Promise<A>,
  ): Promise<A> {
    const retries = request.retries ?? this.retries();
    if (this.#base !== undefined) return await send(complete(request, this.#base, shown), retries);
    // Insecure registries: TLS first, and without it where there is none.
    try {
      const answer = await send(complete(request, this.#secure, shown), this.retries(1));
      this.#base ??= this.#secure;
      return answer;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
    }
    const plain = new URL(this.#secure.href.replace(/^https:/, "http:"));
    const answer = await send(complete(request, plain, shown), retries);
    this.#base ??= plain;
    return answer;
  }
}

function complete(
  { method, path, headers, body, signal }: RegistryRequest,
  base: URL,
  authorization: string | undefined,
): ExchangeRequest {
  const url = new URL(path, base);
  const isOwn = url.origin === base.origin;
  return {
    method,
    url,
    headers: {
      "user-agent": "composefs",
      ...headers,
      ...(authorization === undefined || !isOwn ? {} : { authorization }),
    },
    body,
    signal,
  };
}

/** The words of an error answer, fit for a terminal; empty where there are none. */
async function wordsOf(answer: Answer | WholeAnswer): Promise<string> {
  let text: string;
  try {
    const bytes = "bytes" in answer ? answer.bytes : await readWhole(answer, WORDS_MAX);
    text = Buffer.from(bytes).toString("utf8");
  } catch {
    return "";
  }
  const words = errorsOf(text).slice(0, 3).join("; ");
  return displayText(byteString(words.slice(0, 300)));
}

function errorsOf(text: string): string[] {
  try {
    const { errors } = JSON.parse(text) as { readonly errors?: unknown };
    if (!Array.isArray(errors)) return [];
    return errors.flatMap((each: { code?: unknown; message?: unknown } | null) => {
      const parts = [each?.code, each?.message].filter((part) => typeof part === "string");
      return parts.length === 0 ? [] : [parts.join(": ")];
    });
  } catch {
    return [];
  }
}
