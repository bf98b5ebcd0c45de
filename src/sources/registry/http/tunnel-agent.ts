/**
 * TLS through a proxy that sees nothing of it: `CONNECT`, then the handshake with the real server.
 *
 * Source: RFC 9110, 9.3.6.
 */

import { request } from "node:http";
import type { ClientRequest } from "node:http";
import { Agent } from "node:https";
import type { AgentOptions } from "node:https";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { isIP } from "node:net";
import { NetworkError } from "./network-error.ts";
import { bareHost, proxyAuthorization } from "./proxy.ts";

type Created = (error: Error | null, stream: Duplex) => void;

/** An agent whose connections go through a proxy. */
export class TunnelAgent extends Agent {
  readonly #proxy: URL;
  readonly #limit: number;

  /** `limit` is for the proxy's answer, in milliseconds. */
  constructor(proxy: URL, limit: number, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
    this.#limit = limit;
  }

  override createConnection(options: ConnectionOptions, created: Created): undefined {
    const proxy = this.#proxy;
    const host = options.host ?? "";
    const place = `${isIP(host) === 6 ? `[${host}]` : host}:${options.port}`;
    const asking = request({
      ...{ hostname: bareHost(proxy), port: proxy.port, method: "CONNECT", path: place },
      headers: { host: place, ...proxyAuthorization(proxy) },
      agent: false,
      timeout: this.#limit,
    });
    const fail = (reason: string, cause?: unknown): void => {
      const error = new NetworkError(new URL(`https://${place}`), reason, "unreachable", { cause });
      created(error, asking as unknown as Duplex);
    };
    connectThrough(asking, fail, (socket) =>
      created(null, connect({ ...options, socket, servername: isIP(host) === 0 ? host : "" })),
    );
  }
}

function connectThrough(
  asking: ClientRequest,
  fail: (reason: string, cause?: unknown) => void,
  done: (socket: NonNullable<ConnectionOptions["socket"]>) => void,
): void {
  const host = asking.host;
  asking.once("connect", (answer, socket, head) => {
    if (answer.statusCode === 200 && head.length === 0) {
      done(socket);
      return;
    }
    socket.destroy();
    fail(`the proxy ${host} answered ${answer.statusCode}`);
  });
  asking.once("response", (answer) => {
    answer.destroy();
    fail(`the proxy ${host} answered ${answer.statusCode}`);
  });
  asking.once("timeout", () => asking.destroy(new Error("no answer in time")));
  asking.once("error", (error) => fail(`the proxy ${host} cannot be used`, error));
  asking.end();
}
