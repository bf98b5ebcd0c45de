/**
 * A server that gives bearer tokens, as a registry with `auth: token` wants them; every request is noted.
 *
 * Source: distribution, docs/content/spec/auth/token.md, oauth.md and jwt.md.
 */

import { X509Certificate, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";
import type { Identity } from "./certificates.ts";
import { TOKEN_ISSUER } from "./docker-registry.ts";

/** A request for a token. */
export interface TokenAsked {
  readonly method: string;
  /** Of the address, or of the form. */
  readonly parameters: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** Whom it knows; can be changed between requests. */
export interface TokenPolicy {
  /** `user:password` to what they may do; nobody is the empty text. */
  readonly users: Readonly<Record<string, readonly string[]>>;
  /** Identity tokens to what their owners may do. */
  readonly identityTokens?: Readonly<Record<string, readonly string[]>>;
  /** Seconds that a token is good for; what is said of it, unless the same. */
  readonly lifetime?: number;
  readonly toldLifetime?: number;
}

/** A server that runs. */
export interface TokenServer {
  readonly realm: string;
  readonly asked: TokenAsked[];
  policy: TokenPolicy;
  stop(): Promise<void>;
}

const running = new Set<Server>();
afterAll(async () => {
  await Promise.all([...running].map(close));
});

/** Starts a server that signs with the key of `signer`. */
export async function startTokenServer(signer: Identity, first: TokenPolicy): Promise<TokenServer> {
  const asked: TokenAsked[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const isForm = request.method === "POST";
      const query = new URL(request.url!, "http://x").searchParams;
      const parameters = isForm ? new URLSearchParams(Buffer.concat(chunks).toString()) : query;
      asked.push({ method: request.method!, parameters, headers: request.headers });
      const allowed = isForm
        ? self.policy.identityTokens?.[parameters.get("refresh_token") ?? ""]
        : self.policy.users[userOf(request.headers.authorization)];
      if (allowed === undefined) {
        response.writeHead(401).end();
        return;
      }
      const scopes = isForm
        ? (parameters.get("scope") ?? "").split(" ")
        : parameters.getAll("scope");
      const lifetime = self.policy.lifetime ?? 300;
      const token = makeToken(signer, parameters.get("service") ?? "", {
        scopes,
        allowed,
        lifetime,
      });
      const name = isForm ? "access_token" : "token";
      const answer = { [name]: token, expires_in: self.policy.toldLifetime ?? lifetime };
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(answer));
    })();
  });
  running.add(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self: TokenServer = {
    realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    asked,
    policy: first,
    stop: () => close(server),
  };
  return self;
}

function userOf(authorization: string | undefined): string {
  if (authorization === undefined) return "";
  return Buffer.from(authorization.replace(/^Basic /, ""), "base64").toString();
}

interface Granted {
  readonly scopes: readonly string[];
  readonly allowed: readonly string[];
  readonly lifetime: number;
}

/** A token for what is asked and allowed. */
function makeToken(signer: Identity, audience: string, granted: Granted): string {
  const { scopes, allowed, lifetime } = granted;
  const now = Math.floor(Date.now() / 1000);
  const access = scopes.flatMap((scope) => {
    const [type, name, actions] = scope.split(":");
    const may = (actions ?? "")
      .split(",")
      .filter((action) => allowed.includes(`${name}:${action}`));
    return may.length === 0 ? [] : [{ type, name, actions: may }];
  });
  const der = new X509Certificate(readFileSync(signer.certificate)).raw.toString("base64");
  const header = { typ: "JWT", alg: "ES256", x5c: [der] };
  const claims = {
    iss: TOKEN_ISSUER,
    sub: "someone",
    aud: audience,
    // The registry looks the other way for a minute.
    exp: now + lifetime - 60,
    nbf: now - 60,
    iat: now,
    jti: randomUUID(),
    access,
  };
  const text = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const key = { key: readFileSync(signer.key, "utf8"), dsaEncoding: "ieee-p1363" as const };
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}

async function close(server: Server): Promise<void> {
  running.delete(server);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
