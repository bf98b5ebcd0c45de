/** Bearer tokens, between a real registry and a server that gives them. */

import { beforeAll, beforeEach, expect, test } from "vitest";
import { openRegistrySource, openRegistryTarget, parseManifest } from "#src/mod.ts";
import type { Descriptor, RegistryOptions } from "#src/mod.ts";
import { ecdsa, makeIdentity } from "../../support/certificates.ts";
import { TOKEN_SERVICE, startRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { FaultyRegistry } from "../../support/faulty-registry.ts";
import { LayoutWriter, pattern } from "../../support/images.ts";
import { needs } from "../../support/needs.ts";
import { tempDir } from "../../support/temp.ts";
import { startTokenServer } from "../../support/token-server.ts";
import type { TokenPolicy, TokenServer } from "../../support/token-server.ts";

const NAME = "some/name";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const WRITER = { username: "writer", password: "write it" };
const POLICY: TokenPolicy = {
  users: {
    "writer:write it": [`${NAME}:pull`, `${NAME}:push`],
    "reader:read it": [`${NAME}:pull`],
    "stranger:let me": [],
  },
  identityTokens: { "the token": [`${NAME}:pull`] },
};

needs("docker-registry", "openssl").describe("bearer tokens", () => {
  let tokens: TokenServer;
  let proxy: FaultyRegistry;
  let manifest: Buffer;
  let layers: readonly Descriptor[];

  beforeAll(async () => {
    const signer = makeIdentity({ algorithm: ecdsa("prime256v1") });
    tokens = await startTokenServer(signer, POLICY);
    const token = { realm: tokens.realm, certificates: signer.certificate };
    const registry = await startRegistry({ token });
    proxy = await startFaultyRegistry(registry.url);
    const layout = new LayoutWriter(tempDir());
    const image = layout.image([pattern(100_000), pattern(1000, 2)]);
    manifest = layout.read(image);
    const { config, layers: stored } = parseManifest(manifest);
    layers = stored;
    const target = openRegistryTarget(`${proxy.host}/${NAME}`, {
      insecure: true,
      credentials: WRITER,
    });
    for (const blob of [config, ...layers]) {
      await target.putBlob(
        blob,
        (async function* () {
          yield await Promise.resolve(layout.read(blob));
        })(),
      );
    }
    await target.putManifest(manifest, MANIFEST, "one");
    await target.close();
  }, 60_000);

  beforeEach(() => {
    proxy.reset();
    tokens.asked.length = 0;
    tokens.policy = POLICY;
  });

  const open = (options: RegistryOptions = {}): ReturnType<typeof openRegistrySource> =>
    openRegistrySource(`${proxy.host}/${NAME}:one`, { insecure: true, ...options });

  async function pull(options: RegistryOptions = {}): Promise<void> {
    const source = open(options);
    try {
      const { bytes } = await source.resolve();
      expect(Buffer.from(bytes).equals(manifest)).toBe(true);
      for (const layer of layers) {
        for await (const piece of source.openBlob(layer)) expect(piece.length).toBeGreaterThan(0);
      }
    } finally {
      await source.close();
    }
  }

  test("one is asked for with user and password, and shown from then on", async () => {
    await pull({ credentials: { username: "reader", password: "read it" } });
    expect(tokens.asked).toHaveLength(1);
    const [{ method, parameters }] = tokens.asked as [(typeof tokens.asked)[0]];
    expect(method).toBe("GET");
    expect(Object.fromEntries(parameters)).toEqual({
      service: TOKEN_SERVICE,
      scope: `repository:${NAME}:pull`,
      account: "reader",
    });
    // Refused once, then let in: manifest, manifest, and each layer.
    expect(proxy.seen.map(({ headers }) => headers.authorization?.split(" ")[0])).toEqual([
      undefined,
      "Bearer",
      "Bearer",
      "Bearer",
    ]);
  });

  test("one is asked for without credentials where there are none", async () => {
    tokens.policy = { users: { "": [`${NAME}:pull`] } };
    await pull();
    expect(tokens.asked.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test("one is asked for with an identity token", async () => {
    const path = `${tempDir()}/auth.json`;
    const { writeFileSync } = await import("node:fs");
    const entry = { auth: "", identitytoken: "the token" };
    writeFileSync(path, JSON.stringify({ auths: { [proxy.host]: entry } }));
    await pull({ authFile: path });
    expect(tokens.asked.map(({ method }) => method)).toEqual(["POST"]);
    expect(Object.fromEntries(tokens.asked[0]!.parameters)).toEqual({
      grant_type: "refresh_token",
      client_id: "composefs",
      service: TOKEN_SERVICE,
      scope: `repository:${NAME}:pull`,
      refresh_token: "the token",
    });
  });

  test("many requests at once ask for one", async () => {
    const source = open({ credentials: { username: "reader", password: "read it" } });
    await Promise.all(
      [...layers, ...layers, ...layers].map(async (layer) => {
        for await (const piece of source.openBlob(layer)) expect(piece.length).toBeGreaterThan(0);
      }),
    );
    expect(tokens.asked).toHaveLength(1);
    await source.close();
  });

  test("one that has expired is renewed", async () => {
    // The registry takes it for two seconds, though an hour was promised.
    tokens.policy = { ...POLICY, lifetime: 2, toldLifetime: 3600 };
    const source = open({ credentials: WRITER });
    await source.resolve();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await source.resolve();
    expect(tokens.asked).toHaveLength(2);
    await source.close();
  });

  test("one is not shown any more when it is about to expire", async () => {
    let now = 0;
    const clock = {
      now: () => 0,
      elapsed: () => now,
      random: () => 0,
      sleep: async () => await Promise.resolve(),
    };
    const source = open({ credentials: WRITER, clock });
    await source.resolve();
    now = 289_000;
    await source.resolve();
    expect(tokens.asked).toHaveLength(1);
    now = 291_000;
    proxy.reset();
    await source.resolve();
    expect(tokens.asked).toHaveLength(2);
    expect(proxy.seen.map(({ headers }) => headers.authorization !== undefined)).toEqual([
      false,
      true,
    ]);
    await source.close();
  });

  for (const [who, credentials] of [
    ["somebody unknown", { username: "nobody", password: "a secret" }],
    ["somebody who may not", { username: "stranger", password: "let me" }],
    ["nobody", undefined],
  ] as const) {
    test(`nothing is shown to ${who}`, async () => {
      const error = (await pull({ credentials }).catch((thrown: unknown) => thrown)) as Error;
      expect(error).toMatchObject({ code: "registry-denied" });
      expect(`${error.message}${error.stack}${JSON.stringify(error)}`).not.toMatch(
        /a secret|let me|bGV0IG1l/,
      );
      expect(tokens.asked).toHaveLength(1);
    });
  }

  test("a reader may not write", async () => {
    const target = openRegistryTarget(`${proxy.host}/${NAME}`, {
      insecure: true,
      credentials: { username: "reader", password: "read it" },
    });
    await expect(target.putManifest(manifest, MANIFEST, "two")).rejects.toMatchObject({
      code: "registry-denied",
    });
    await target.close();
  });

  const realms: readonly (readonly [string, string])[] = [
    ["is no address", "token"],
    ["is not HTTP", "file:///etc/passwd"],
    ["holds a user", "http://a:b@127.0.0.1/token"],
    ["is missing", ""],
  ];
  for (const [what, realm] of realms) {
    test(`a place for tokens that ${what} is not asked`, async () => {
      proxy.inject({
        on: /manifests/,
        fault: {
          kind: "status",
          status: 401,
          headers: { "www-authenticate": `Bearer realm="${realm}",service="x"` },
        },
      });
      await expect(pull({ credentials: WRITER })).rejects.toMatchObject({
        code: "registry-failed",
      });
    });
  }

  const answers: readonly string[] = [
    "",
    "[]",
    "null",
    "{}",
    '{"token":""}',
    '{"token":"a\\nb"}',
    '{"token":7}',
    "x".repeat(5_000_000),
  ];
  for (const body of answers) {
    test(`a token like ${JSON.stringify(body.slice(0, 20))} is none`, async () => {
      proxy.inject({ on: /\/tokens/, fault: { kind: "status", status: 200, body } });
      proxy.inject({
        on: /manifests/,
        fault: {
          kind: "status",
          status: 401,
          headers: { "www-authenticate": `Bearer realm="${proxy.url}/tokens"` },
        },
      });
      await expect(pull({ credentials: WRITER })).rejects.toMatchObject({
        code: "registry-failed",
      });
    });
  }

  test("what is missing of a scope is asked for once more", async () => {
    const challenge = (extra: string): Record<string, string> => ({
      "www-authenticate": `Bearer realm="${tokens.realm}",service="${TOKEN_SERVICE}"${extra}`,
    });
    const insufficient = ',error="insufficient_scope",scope="repository:other/base:pull"';
    proxy.inject({
      on: /manifests/,
      times: 1,
      fault: { kind: "status", status: 401, headers: challenge("") },
    });
    proxy.inject({
      on: /manifests/,
      times: 1,
      fault: { kind: "status", status: 401, headers: challenge(insufficient) },
    });
    const source = open({ credentials: WRITER });
    await source.resolve();
    expect(tokens.asked.map(({ parameters }) => parameters.getAll("scope"))).toEqual([
      [`repository:${NAME}:pull`],
      [`repository:${NAME}:pull`, "repository:other/base:pull"],
    ]);
    await source.close();
  });
});
