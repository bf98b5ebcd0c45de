/** TLS: whom the client trusts, whom not, what it shows, and to whom. */

import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { openRegistrySource } from "#src/mod.ts";
import type { RegistryOptions } from "#src/mod.ts";
import { ecdsa, makeIdentity } from "../../support/certificates.ts";
import type { Identity } from "../../support/certificates.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import type { RunningRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { FaultyRegistry } from "../../support/faulty-registry.ts";
import { needs } from "../../support/needs.ts";
import { tempDir } from "../../support/temp.ts";
import { SampleImage } from "./sample-image.ts";

const LIMITS = { headers: 2000, attempts: 2, backoff: 5 };
const LOOPBACK = ["IP:127.0.0.1"];
const LAYER = /\/blobs\//;
const CREDENTIALS = { username: "someone", password: "a secret" };

needs("docker-registry", "skopeo", "openssl", "htpasswd").describe("TLS", () => {
  const algorithm = ecdsa("prime256v1");
  let authority: Identity;
  let ca: string;
  let server: Identity;
  let registry: RunningRegistry;
  let plain: RunningRegistry;
  const image = new SampleImage(100_000);

  beforeAll(async () => {
    authority = makeIdentity({ algorithm, isCa: true });
    ca = readFileSync(authority.certificate, "utf8");
    server = makeIdentity({ algorithm, issuer: authority, hosts: LOOPBACK });
    registry = await startRegistry({ tls: server });
    plain = await startRegistry({
      user: { name: CREDENTIALS.username, password: CREDENTIALS.password },
    });
    image.push(registry.host);
    const credentials = `--dest-creds=${CREDENTIALS.username}:${CREDENTIALS.password}`;
    image.push(plain.host, "some/name", credentials);
  }, 60_000);

  /** The code and words of the error, or nothing when all arrived. */
  async function pull(host: string, options: RegistryOptions = {}): Promise<string> {
    const source = openRegistrySource(`${host}/some/name:one`, { limits: LIMITS, ...options });
    return image.takeFrom(source);
  }

  /** A configuration directory whose certs.d has these files for a host. */
  function certsFor(host: string, files: Readonly<Record<string, string>>): string {
    const etc = tempDir();
    const certs = join(etc, "containers/certs.d", host);
    mkdirSync(certs, { recursive: true });
    for (const [name, path] of Object.entries(files)) copyFileSync(path, join(certs, name));
    return etc;
  }

  test("trusts an authority that it is told of", async () => {
    expect(await pull(registry.host, { ca })).toBe("arrives");
  });

  test("trusts an authority of certs.d, for its host alone", async () => {
    const files = { "ca.crt": authority.certificate };
    expect(await pull(registry.host, { etc: certsFor(registry.host, files) })).toBe("arrives");
    const other = certsFor("registry.test:5000", files);
    expect(await pull(registry.host, { etc: other })).toMatch(/^network-failed: .*authority/);
  });

  test("trusts what SSL_CERT_FILE names", async () => {
    const environment = { SSL_CERT_FILE: authority.certificate };
    expect(await pull(registry.host, { environment })).toBe("arrives");
  });

  test("trusts nobody else, and tries only once", async () => {
    const retried: string[] = [];
    const onRetry = (_: URL, reason: string): void => void retried.push(reason);
    expect(await pull(registry.host, { onRetry })).toMatch(
      /^network-failed: Cannot talk to 127\.0\.0\.1:\d+: its certificate is signed by .*not trusted/,
    );
    expect(retried).toEqual([]);
  });

  test("takes any certificate where it is told to", async () => {
    expect(await pull(registry.host, { insecure: true })).toBe("arrives");
  });

  const wrong: readonly (readonly [string, () => Identity, RegExp])[] = [
    [
      "has expired",
      () => makeIdentity({ algorithm, issuer: authority, hosts: LOOPBACK, days: -1 }),
      /has expired/,
    ],
    [
      "is for another host",
      () => makeIdentity({ algorithm, issuer: authority, hosts: ["DNS:registry.test"] }),
      /for another host/,
    ],
    ["is signed by itself", () => makeIdentity({ algorithm, hosts: LOOPBACK }), /signed by itself/],
  ];
  for (const [what, make, words] of wrong) {
    test(`refuses a certificate that ${what}`, async () => {
      const other = await startRegistry({ tls: make() });
      expect(await pull(other.host, { ca })).toMatch(words);
      expect(await pull(other.host, { ca })).toMatch(/^network-failed: /);
      await other.stop();
    });
  }

  test("shows the certificate of certs.d to a registry that wants one", async () => {
    const clients = makeIdentity({ algorithm, isCa: true });
    const strict = await startRegistry({ tls: { ...server, clients: clients.certificate } });
    expect(await pull(strict.host, { ca })).toMatch(/^network-failed: .*client certificate/);
    const client = makeIdentity({ algorithm, issuer: clients });
    const files = {
      "ca.crt": authority.certificate,
      "client.cert": client.certificate,
      "client.key": client.key,
    };
    // Nothing was pushed to it: that it says so is enough.
    expect(await pull(strict.host, { etc: certsFor(strict.host, files) })).toMatch(
      /^registry-not-found/,
    );
    await strict.stop();
  });

  test("says which file of certs.d is wrong", async () => {
    const noKey = certsFor(registry.host, { "client.cert": server.certificate });
    expect(await pull(registry.host, { etc: noKey })).toMatch(/^invalid-config: .*client\.key/);
    const noCertificate = certsFor(registry.host, {
      "client.cert": server.key,
      "client.key": server.key,
    });
    expect(await pull(registry.host, { etc: noCertificate })).toMatch(/^invalid-config/);
  });

  test("says that a server without TLS has none", async () => {
    expect(await pull(plain.host)).toMatch(/^network-failed: .*does not speak TLS/);
  });

  describeRedirects();

  function describeRedirects(): void {
    let secure: FaultyRegistry;
    let elsewhere: FaultyRegistry;

    beforeAll(async () => {
      const tls = {
        cert: readFileSync(server.certificate, "utf8"),
        key: readFileSync(server.key, "utf8"),
      };
      secure = await startFaultyRegistry(plain.url, tls);
      elsewhere = await startFaultyRegistry(plain.url, tls);
    });

    beforeEach(() => {
      secure.reset();
      elsewhere.reset();
    });

    const options = (): RegistryOptions => ({ ca, credentials: CREDENTIALS });

    test("secrets go to the registry, and not where it redirects to", async () => {
      const blob = await readPlain();
      secure.inject({
        on: LAYER,
        fault: { kind: "redirect", to: `${elsewhere.url}/stored?signature=x` },
      });
      elsewhere.inject({ on: /stored/, fault: { kind: "status", status: 200, body: blob } });
      expect(await pull(secure.host, options())).toBe("arrives");
      expect(elsewhere.seen.map(({ line }) => line)).toEqual(["GET /stored?signature=x"]);
      expect(JSON.stringify(elsewhere.seen)).not.toMatch(/authorization/i);
      expect(secure.seen.filter(({ headers }) => headers.authorization !== undefined)).toHaveLength(
        2,
      );
    });

    test("another host that asks for a password is shown none", async () => {
      secure.inject({ on: LAYER, fault: { kind: "redirect", to: `${elsewhere.url}/stored` } });
      elsewhere.inject({
        on: /stored/,
        fault: { kind: "status", status: 401, headers: { "www-authenticate": 'Basic realm="x"' } },
      });
      expect(await pull(secure.host, options())).toMatch(/^registry-denied/);
      expect(elsewhere.count(/stored/)).toBe(1);
      expect(JSON.stringify(elsewhere.seen)).not.toMatch(/authorization/i);
    });

    test("a redirect that leaves TLS is not followed", async () => {
      const open = await startFaultyRegistry(plain.url);
      secure.inject({ on: LAYER, fault: { kind: "redirect", to: `${open.url}/stored` } });
      expect(await pull(secure.host, options())).toMatch(/^registry-failed: .*without encryption/);
      expect(open.seen).toEqual([]);
      await open.stop();
    });

    test("a place for tokens without TLS is not asked by a registry with it", async () => {
      const open = await startFaultyRegistry(plain.url);
      secure.inject({
        on: /manifests/,
        fault: {
          kind: "status",
          status: 401,
          headers: { "www-authenticate": `Bearer realm="${open.url}/token"` },
        },
      });
      expect(await pull(secure.host, options())).toMatch(/^registry-failed: .*not encrypted/);
      expect(open.seen).toEqual([]);
      await open.stop();
    });

    async function readPlain(): Promise<Buffer> {
      const source = openRegistrySource(`${plain.host}/some/name:one`, {
        insecure: true,
        credentials: CREDENTIALS,
      });
      const pieces: Uint8Array[] = [];
      for await (const piece of source.openBlob(image.layer)) pieces.push(piece);
      await source.close();
      return Buffer.concat(pieces);
    }
  }
});
