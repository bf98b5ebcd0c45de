/**
 * What one registry wants to be shown: nothing, a password, or a token for the things asked for.
 *
 * Nothing is sent before the registry has asked; after that, it is sent along. A refusal is answered
 * by a new token once.
 */

import { ComposefsError } from "../../../core/errors.ts";
import { parseChallenges } from "./challenge.ts";
import type { Challenge } from "./challenge.ts";
import type { Clock } from "../http/clock.ts";
import type { Credentials } from "./credentials.ts";
import { TokenCache, requestToken } from "./token.ts";
import type { Scopes } from "./token.ts";
import type { Transport } from "../http/transport.ts";

/** How an authorizer is made. */
export interface AuthorizerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Looked for when the registry asks, and once. */
  readonly credentials: () => Promise<Credentials | undefined>;
  readonly isInsecure: boolean;
}

/** Knows how to be let in at one registry. */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #tokens: TokenCache;
  #scheme: "basic" | "bearer" | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    this.#tokens = new TokenCache(options.clock);
  }

  /** The header to send along, as far as it is known without asking. */
  async current(scopes: Scopes): Promise<string | undefined> {
    switch (this.#scheme) {
      case undefined:
        return undefined;
      case "basic":
        return (await this.#found())?.revealBasic();
      case "bearer": {
        const token = await this.#tokens.find(scopes).catch(() => undefined);
        return token === undefined ? undefined : `Bearer ${token}`;
      }
    }
  }

  /**
   * The header that answers a refusal. `old` is the one that was refused; `header` the
   * `WWW-Authenticate` that came with it. Throws `registry-denied` where there is nothing more to show.
   */
  async renew(
    registry: URL,
    header: string,
    scopes: Scopes,
    old: string | undefined,
    signal?: AbortSignal,
  ): Promise<string> {
    const challenge = parseChallenges(header).find(isKnown);
    if (challenge === undefined) throw denied(registry, "it asks in a way that is not known here");
    const credentials = await this.#found();
    if (challenge.scheme === "basic") {
      this.#scheme = "basic";
      const basic = credentials?.revealBasic();
      if (basic === undefined || credentials?.username === "") {
        throw denied(registry, "it wants a user and a password");
      }
      if (basic === old) throw denied(registry, `it does not take the ${credentials!.toString()}`);
      return basic;
    }
    this.#scheme = "bearer";
    const wider = widened(scopes, challenge);
    // The server of tokens gave what it gives for this: asking again would change nothing.
    if (old !== undefined && isInsufficient(challenge) && wider.length === scopes.length) {
      throw await this.refusal(registry, "");
    }
    const token = await this.#tokens.renew(scopes, old?.slice("Bearer ".length), () =>
      requestToken(
        {
          challenge,
          scopes: wider,
          credentials,
          registry,
          isInsecure: this.#options.isInsecure,
          signal,
        },
        this.#options.transport,
        this.#options.clock,
      ),
    );
    return `Bearer ${token}`;
  }

  /** Says that all was shown and none of it was enough. */
  async refusal(registry: URL, words: string): Promise<ComposefsError> {
    const credentials = await this.#found();
    const who = credentials === undefined ? "without credentials" : `the ${credentials.toString()}`;
    return denied(registry, `it does not let in ${who}${words === "" ? "" : ` (${words})`}`);
  }

  #found(): Promise<Credentials | undefined> {
    this.#credentials ??= this.#options.credentials();
    return this.#credentials;
  }
}

function isKnown({ scheme }: Challenge): boolean {
  return scheme === "basic" || scheme === "bearer";
}

function isInsufficient(challenge: Challenge): boolean {
  return challenge.parameters.get("error") === "insufficient_scope";
}

/** What the registry says is missing comes to what was asked for. */
function widened(scopes: Scopes, challenge: Challenge): Scopes {
  if (!isInsufficient(challenge)) return scopes;
  const more = (challenge.parameters.get("scope") ?? "").slice(0, 1000).split(" ");
  return [...new Set([...scopes, ...more.filter((scope) => scope !== "")])];
}

function denied(registry: URL, reason: string): ComposefsError {
  return new ComposefsError("registry-denied", `Cannot ask ${registry.host}: ${reason}`, {
    hint: `log in with \`podman login ${registry.host}\`, or see whether the name is right`,
  });
}
