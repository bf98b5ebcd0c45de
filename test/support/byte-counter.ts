/** A relay in front of a server that counts what comes back: the bytes that a download costs, headers too. */

import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterAll } from "vitest";

/** A relay that runs; ended when the test file has ended. */
export interface ByteCounter {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** Bytes since the last call. */
  take(): number;
}

const running: (() => void)[] = [];
afterAll(() => {
  for (const stop of running) stop();
});

/** Starts a relay to `host:port`. */
export async function startByteCounter(target: string): Promise<ByteCounter> {
  const [host, port] = target.split(":");
  const sockets = new Set<Socket>();
  let bytes = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    upstream.on("data", (data) => {
      bytes += data.length;
    });
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  running.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    take: () => {
      const taken = bytes;
      bytes = 0;
      return taken;
    },
  };
}
