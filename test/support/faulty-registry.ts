/**
 * A proxy before a real registry that goes wrong in the ways that networks and servers do.
 *
 *     const proxy = await startFaultyRegistry(registry.url);
 *     proxy.inject({ on: /\/blobs\//, times: 2, fault: { kind: "status", status: 503 } });
 *     … pull from proxy.host …
 *     expect(proxy.count(/\/blobs\//)).toBe(3);
 *
 * What no rule is for passes as it is. All proxies are closed when the test file has ended.
 */

import { createServer, request as httpRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll } from "vitest";

/** What goes wrong. */
export type Fault =
  /** This answer instead of the registry's. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Uint8Array;
    }
  /** No answer at all; the connection stays open. */
  | { readonly kind: "hang" }
  /** The connection breaks before an answer. */
  | { readonly kind: "reset" }
  /** The request is passed on, and the connection breaks instead of an answer. */
  | { readonly kind: "lose-answer" }
  /** The connection breaks after so many bytes of the body. */
  | { readonly kind: "cut"; readonly after: number }
  /** Nothing more comes after so many bytes of the body; the connection stays open. */
  | { readonly kind: "stall"; readonly after: number }
  /** An answer that is whole, but of the first bytes alone. */
  | { readonly kind: "truncate"; readonly to: number }
  /** One bit of the body is another, at this place of it. */
  | { readonly kind: "flip"; readonly at: number }
  /** More bytes than there should be, without a length announced. */
  | { readonly kind: "append"; readonly bytes: number }
  /** The body comes in small pieces with pauses. */
  | { readonly kind: "slow"; readonly piece: number; readonly pause: number }
  /** The request is passed on without its range. */
  | { readonly kind: "ignore-range" }
  /** To this place, `itself` for a loop. */
  | { readonly kind: "redirect"; readonly to: string; readonly status?: number };

/** When something goes wrong. */
export interface Rule {
  /** For requests whose `METHOD /path?query` matches. */
  readonly on: RegExp;
  /** How often; always unless told. */
  readonly times?: number;
  readonly fault: Fault;
}

/** A request that came. */
export interface SeenRequest {
  /** `METHOD /path?query`. */
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  /** What was done about it. */
  readonly fault: Fault["kind"] | "none";
}

/** A proxy that runs. */
export interface FaultyRegistry {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  inject(rule: Rule): void;
  /** Forgets all rules and requests. */
  reset(): void;
  /** How many requests match. */
  count(on: RegExp): number;
  stop(): Promise<void>;
}

const running = new Set<Server>();
afterAll(async () => {
  await Promise.all([...running].map(close));
});

/** Starts a proxy before the server at `upstream`; with TLS if it gets a certificate (PEM). */
export async function startFaultyRegistry(
  upstream: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<FaultyRegistry> {
  let rules: { rule: Rule; left: number }[] = [];
  const seen: SeenRequest[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const line = `${request.method} ${request.url}`;
    const active = rules.find(({ rule, left }) => left > 0 && rule.on.test(line));
    if (active !== undefined) active.left--;
    const fault = active?.rule.fault;
    seen.push({ line, headers: request.headers, fault: fault?.kind ?? "none" });
    serve(new URL(upstream), request, response, fault).catch(() => response.destroy());
  };
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  running.add(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `${tls === undefined ? "http" : "https"}://${host}`,
    seen,
    inject: (rule) => void rules.push({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }),
    reset: () => {
      rules = [];
      seen.length = 0;
    },
    count: (on) => seen.filter(({ line }) => on.test(line)).length,
    stop: () => close(server),
  };
}

async function serve(
  upstream: URL,
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  switch (fault?.kind) {
    case "status":
      request.resume();
      response.writeHead(fault.status, fault.headers);
      response.end(fault.body ?? "");
      return;
    case "hang":
      request.resume();
      return;
    case "reset":
      request.socket.destroy();
      return;
    case "redirect": {
      request.resume();
      const location = fault.to === "itself" ? request.url! : fault.to;
      response.writeHead(fault.status ?? 307, { location });
      response.end();
      return;
    }
    default:
  }
  const found = await pass(upstream, request, fault?.kind === "ignore-range");
  if (fault?.kind === "lose-answer") {
    found.resume();
    request.socket.destroy();
    return;
  }
  const headers = { ...found.headers };
  if (fault?.kind === "truncate") headers["content-length"] = String(fault.to);
  if (fault?.kind === "append") delete headers["content-length"];
  response.writeHead(found.statusCode!, headers);
  await send(found, response, fault);
}

/** Sends the body of the registry's answer, as the fault has it. */
async function send(
  found: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  let at = 0;
  for await (const chunk of found as AsyncIterable<Buffer>) {
    let piece = chunk;
    switch (fault?.kind) {
      case "cut":
      case "stall": {
        const left = fault.after - at;
        if (left > piece.length) break;
        if (left > 0) await write(response, piece.subarray(0, left));
        found.destroy();
        if (fault.kind === "cut") response.destroy();
        return;
      }
      case "truncate":
        if (at >= fault.to) continue;
        piece = piece.subarray(0, fault.to - at);
        break;
      case "flip":
        if (fault.at >= at && fault.at < at + piece.length) {
          piece = Buffer.from(piece);
          piece[fault.at - at]! ^= 1;
        }
        break;
      case "slow":
        for (let from = 0; from < piece.length; from += fault.piece) {
          await write(response, piece.subarray(from, from + fault.piece));
          await sleep(fault.pause);
          if (response.destroyed) return;
        }
        at += piece.length;
        continue;
      default:
    }
    at += chunk.length;
    await write(response, piece);
  }
  if (fault?.kind === "append") await write(response, Buffer.alloc(fault.bytes));
  response.end();
}

/** Asks the registry the same. */
function pass(
  upstream: URL,
  request: IncomingMessage,
  withoutRange: boolean,
): Promise<IncomingMessage> {
  const headers = { ...request.headers };
  if (withoutRange) delete headers["range"];
  return new Promise((resolve, reject) => {
    const passed = httpRequest(
      new URL(request.url!, upstream),
      { method: request.method!, headers },
      resolve,
    );
    passed.once("error", reject);
    request.pipe(passed);
  });
}

async function write(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  if (bytes.length === 0 || response.destroyed) return;
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
    response.write(bytes, () => {
      response.off("close", resolve);
      resolve();
    });
  });
}

async function close(server: Server): Promise<void> {
  running.delete(server);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
