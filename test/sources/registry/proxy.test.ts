/** Proxies: which addresses go through one, and pulls through a real one. */

import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { Server } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openRegistrySource } from "#src/mod.ts";
import type { RegistryOptions } from "#src/mod.ts";
import { chooseProxy } from "#src/sources/registry/http/proxy.ts";
import { ecdsa, makeIdentity } from "../../support/certificates.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import type { RunningRegistry } from "../../support/docker-registry.ts";
import { needs } from "../../support/needs.ts";
import { SampleImage } from "./sample-image.ts";

const PROXY = "http://proxy.test:3128";

test("chooseProxy: by scheme, never for this machine", () => {
  const environment = { HTTPS_PROXY: PROXY, http_proxy: "plain.test:80", NO_PROXY: "" };
  const chosen = (url: string): string | undefined => chooseProxy(new URL(url), environment)?.host;
  expect(chosen("https://a.test/")).toBe("proxy.test:3128");
  expect(chosen("http://a.test/")).toBe("plain.test");
  for (const host of ["localhost", "127.0.0.1:5000", "127.8.9.1", "[::1]:5000"]) {
    expect(chosen(`https://${host}/`)).toBeUndefined();
  }
  expect(chooseProxy(new URL("https://a.test/"), {})).toBeUndefined();
  expect(chooseProxy(new URL("https://a.test/"), { HTTP_PROXY: PROXY })).toBeUndefined();
});

test("chooseProxy: NO_PROXY names hosts, those below, networks and ports", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["*", "a.test", true],
    ["a.test", "a.test", true],
    ["a.test", "b.a.test", true],
    ["a.test", "ba.test", false],
    [".a.test", "b.a.test", true],
    [".a.test", "a.test", false],
    ["*.a.test", "b.a.test", true],
    ["x, A.TEST ,y", "a.test", true],
    ["a.test:5000", "a.test:5000", true],
    ["a.test:5000", "a.test", false],
    ["a.test:443", "a.test", true],
    ["10.0.0.0/8", "10.1.2.3", true],
    ["10.0.0.0/8", "11.1.2.3", false],
    ["10.0.0.0/99", "10.1.2.3", false],
    ["10.1.2.3", "10.1.2.3:5000", true],
    ["2.3", "10.1.2.3", false],
    ["fd00::/8", "[fd12::1]:5000", true],
    ["fd12::1", "[fd12::1]", true],
    ["[fd12::1]:5000", "[fd12::1]:5000", true],
    ["[fd12::1]:5000", "[fd12::1]:5001", false],
    ["", "a.test", false],
  ];
  for (const [NO_PROXY, host, isDirect] of cases) {
    const chosen = chooseProxy(new URL(`https://${host}/`), { HTTPS_PROXY: PROXY, NO_PROXY });
    expect([NO_PROXY, host, chosen === undefined]).toEqual([NO_PROXY, host, isDirect]);
  }
});

test("chooseProxy: refuses what is no proxy, without showing it", () => {
  for (const HTTPS_PROXY of [
    "socks5://user:s3cret@a.test",
    "https://a.test",
    "http://",
    "http://s3cret@",
  ]) {
    expect(() => chooseProxy(new URL("https://a.test/"), { HTTPS_PROXY })).toThrow(
      expect.objectContaining({
        code: "invalid-config",
        message: expect.not.stringContaining("s3cret"),
      }),
    );
  }
});

needs("docker-registry", "skopeo", "openssl").describe("through a proxy", () => {
  let proxy: Server;
  let address: string;
  let seen: string[] = [];
  let refuses = false;
  let secure: RunningRegistry;
  let plain: RunningRegistry;
  let ca: string;
  const image = new SampleImage(500_000);

  beforeAll(async () => {
    const algorithm = ecdsa("prime256v1");
    const authority = makeIdentity({ algorithm, isCa: true });
    ca = readFileSync(authority.certificate, "utf8");
    const tls = makeIdentity({ algorithm, issuer: authority, hosts: ["DNS:registry.test"] });
    secure = await startRegistry({ tls });
    plain = await startRegistry();
    for (const { host } of [secure, plain]) image.push(host);
    proxy = startProxy();
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    address = `user:pass%20word@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  }, 60_000);

  afterAll(async () => {
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });

  beforeEach(() => {
    seen = [];
    refuses = false;
  });

  /** Takes all names for this machine. */
  function startProxy(): Server {
    const server = createServer((incoming, response) => {
      const url = new URL(incoming.url!);
      seen.push(`${incoming.method} ${url.hostname} ${incoming.headers["proxy-authorization"]}`);
      url.hostname = "127.0.0.1";
      const passed = request(url, { headers: incoming.headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      passed.end();
    });
    server.on("connect", (incoming, socket) => {
      const [host, port] = incoming.url!.split(":");
      seen.push(`CONNECT ${host} ${incoming.headers["proxy-authorization"]}`);
      if (refuses) {
        socket.end("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      const passed = connect(Number(port), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        passed.pipe(socket).pipe(passed);
      });
      passed.on("error", () => socket.destroy());
      socket.on("error", () => passed.destroy());
    });
    return server;
  }

  async function pull(registry: RunningRegistry, options: RegistryOptions): Promise<string> {
    const name = `registry.test:${registry.host.split(":")[1]}/some/name:one`;
    const source = openRegistrySource(name, {
      etc: "/nowhere",
      limits: { attempts: 2, backoff: 5 },
      ...options,
    });
    return image.takeFrom(source);
  }

  const basic = `Basic ${Buffer.from("user:pass word").toString("base64")}`;

  test("TLS goes by CONNECT, once, and is that of the registry", async () => {
    const environment = { HTTPS_PROXY: `http://${address}` };
    expect(await pull(secure, { environment, ca })).toBe("arrives");
    expect(seen).toEqual([`CONNECT registry.test ${basic}`]);
    expect(await pull(secure, { environment })).toMatch(/^network-failed: .*authority/);
  });

  test("what has no TLS is asked of the proxy", async () => {
    const environment = { http_proxy: address };
    // TLS is tried first, and goes nowhere: there is no such host.
    expect(await pull(plain, { environment, insecure: true })).toBe("arrives");
    expect(seen).toEqual([`GET registry.test ${basic}`, `GET registry.test ${basic}`]);
  });

  test("a proxy that refuses is told of", async () => {
    refuses = true;
    const environment = { HTTPS_PROXY: `http://${address}` };
    const error = await pull(secure, { environment, ca });
    expect(error).toMatch(/^network-failed: .*the proxy .* answered 407/);
    expect(error).not.toContain("pass");
  });

  test("a proxy that is not there is told of", async () => {
    const environment = { HTTPS_PROXY: "http://127.0.0.1:1" };
    expect(await pull(secure, { environment, ca })).toMatch(/^network-failed: .*the proxy/);
  });
});
