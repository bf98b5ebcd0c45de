/**
 * Bearer tokens: asked for at the place that a challenge names, kept until shortly before they expire.
 *
 * Source: distribution, docs/content/spec/auth/token.md (GET) and oauth.md (POST with a refresh token).
 */

import { ComposefsError } from "../../../core/errors.ts";
import type { Challenge } from "./challenge.ts";
import type { Clock } from "../http/clock.ts";
import type { Credentials } from "./credentials.ts";
import type { Transport } from "../http/transport.ts";

/** Servers that say less, or nothing, mean this at least. */
const LIFETIME_MIN = 60;

/** No token is kept longer, whatever its server says: a day. */
const LIFETIME_MAX = 86_400;

/** Milliseconds before its end in which a token is not used any more: it has to arrive in time. */
const MARGIN = 10_000;

/** How this client calls itself; servers may ask for one name. */
const CLIENT_ID = "composefs";

/** A token and the time on `Clock.elapsed` until which to use it. */
interface BearerToken {
  readonly value: string;
  readonly until: number;
}

/** For what a token is: `repository:name:pull,push` each. */
export type Scopes = readonly string[];

/** The tokens of one registry, one for each set of scopes. */
export class TokenCache {
  readonly #tokens = new Map<string, Promise<BearerToken>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A token that is there and still good, or on its way. */
  async find(scopes: Scopes): Promise<string | undefined> {
    const pending = this.#tokens.get(keyOf(scopes));
    if (pending === undefined) return undefined;
    const token = await pending;
    return this.#clock.elapsed() < token.until ? token.value : undefined;
  }

  /** The token that `ask` brings; everyone who asks meanwhile gets the same. `old` has been refused. */
  async renew(
    scopes: Scopes,
    old: string | undefined,
    ask: () => Promise<BearerToken>,
  ): Promise<string> {
    const key = keyOf(scopes);
    const current = this.#tokens.get(key);
    if (current !== undefined) {
      // Another request may have renewed it while this one was refused.
      const token = await current.catch(() => undefined);
      const isNew = token !== undefined && token.value !== old;
      if (isNew && this.#clock.elapsed() < token.until) return token.value;
    }
    // Between the wait above and here, somebody else may have asked.
    const latest = this.#tokens.get(key);
    if (latest !== undefined && latest !== current) return (await latest).value;
    const asked = ask();
    this.#tokens.set(key, asked);
    try {
      return (await asked).value;
    } catch (error) {
      if (this.#tokens.get(key) === asked) this.#tokens.delete(key);
      throw error;
    }
  }
}

function keyOf(scopes: Scopes): string {
  return [...scopes].sort().join(" ");
}

/** What a request for a token needs. */
export interface TokenRequest {
  readonly challenge: Challenge;
  readonly scopes: Scopes;
  readonly credentials: Credentials | undefined;
  /** The registry that sent the challenge. */
  readonly registry: URL;
  /** Tokens may be asked for without TLS. */
  readonly isInsecure: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Asks the server that the challenge names. Throws `registry-denied`, `registry-failed`. */
export async function requestToken(
  request: TokenRequest,
  transport: Transport,
  clock: Clock,
): Promise<BearerToken> {
  const { challenge, credentials, scopes, signal } = request;
  const realm = tokenRealm(request);
  const service = challenge.parameters.get("service");
  const identityToken = credentials?.revealIdentityToken();
  const asked = clock.elapsed();
  const headers: Record<string, string> = { accept: "application/json" };
  let answer;
  if (identityToken === undefined || identityToken === "") {
    if (service !== undefined && service !== "") realm.searchParams.set("service", service);
    for (const scope of scopes) realm.searchParams.append("scope", scope);
    if (credentials !== undefined && credentials.username !== "") {
      realm.searchParams.set("account", credentials.username);
      headers["authorization"] = credentials.revealBasic();
    }
    answer = await transport.metadata({ method: "GET", url: realm, headers, signal });
  } else {
    const form = new URLSearchParams({ grant_type: "refresh_token", client_id: CLIENT_ID });
    if (service !== undefined) form.set("service", service);
    form.set("scope", scopes.join(" "));
    form.set("refresh_token", identityToken);
    headers["content-type"] = "application/x-www-form-urlencoded";
    const body = { kind: "bytes", bytes: Buffer.from(form.toString()) } as const;
    answer = await transport.metadata({ method: "POST", url: realm, headers, body, signal });
  }
  if (answer.status !== 200) throw refused(realm, answer.status, request);
  return parseToken(answer.bytes, realm, asked);
}

/** Where to ask: not in the clear what came by TLS, and no credentials in the address. */
function tokenRealm({ challenge, registry, isInsecure }: TokenRequest): URL {
  const text = challenge.parameters.get("realm") ?? "";
  const fail = (reason: string): ComposefsError =>
    new ComposefsError(
      "registry-failed",
      `Cannot get a token for ${registry.host}: it names "${text.slice(0, 200)}" for it, ${reason}`,
    );
  if (!URL.canParse(text)) throw fail("which is no address");
  const realm = new URL(text);
  if (realm.protocol !== "https:" && realm.protocol !== "http:") throw fail("which is not HTTP");
  if (realm.username !== "" || realm.password !== "") throw fail("which holds a user's name");
  if (realm.protocol === "http:" && registry.protocol === "https:" && !isInsecure) {
    throw fail("which is not encrypted");
  }
  realm.hash = "";
  return realm;
}

function refused(realm: URL, status: number, request: TokenRequest): ComposefsError {
  const { registry, credentials } = request;
  const isDenied = status === 401 || status === 403 || status === 400;
  if (!isDenied) {
    const message = `Cannot get a token for ${registry.host}: ${realm.host} answered ${status}`;
    return new ComposefsError("registry-failed", message);
  }
  const who = credentials === undefined ? "nobody" : `the ${credentials.toString()}`;
  return new ComposefsError(
    "registry-denied",
    `Cannot get a token for ${registry.host}: ${realm.host} does not take ${who} (status ${status})`,
    { hint: `log in with \`podman login ${registry.host}\`` },
  );
}

function parseToken(bytes: Uint8Array, realm: URL, asked: number): BearerToken {
  const fail = (reason: string): ComposefsError =>
    // Never with what was sent: it may hold a token.
    new ComposefsError("registry-failed", `Cannot get a token from ${realm.host}: ${reason}`);
  let answer: unknown;
  try {
    answer = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw fail("the answer is not JSON");
  }
  if (typeof answer !== "object" || answer === null) throw fail("the answer is no object");
  const fields = answer as Readonly<Record<string, unknown>>;
  const value = [fields["token"], fields["access_token"]].find(
    (each): each is string => typeof each === "string" && each !== "",
  );
  if (value === undefined) throw fail("the answer holds none");
  // What cannot stand in a header would be an error of Node, with the token in its text.
  if (!/^[\x21-\x7e]+$/.test(value)) throw fail("the token holds characters that no token may");
  const told = fields["expires_in"];
  const seconds = typeof told === "number" && Number.isFinite(told) ? told : 0;
  const lifetime = Math.min(Math.max(seconds, LIFETIME_MIN), LIFETIME_MAX);
  // Counted from when it was asked for: the clocks of both sides need not agree.
  return { value, until: asked + lifetime * 1000 - MARGIN };
}
