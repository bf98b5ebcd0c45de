/** `composefs pull` from a real registry: what it asks, what it asks the second time, what it says. */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { openImageTarget } from "#src/sources/mod.ts";
import { putImage } from "../../suites/image-target.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import type { RunningRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { FaultyRegistry } from "../../support/faulty-registry.ts";
import { needs } from "../../support/needs.ts";
import { makeImage } from "../../support/oci-image.ts";
import { skopeoCopy } from "../../support/skopeo.ts";
import { CHECKOUT } from "../../support/shared.ts";
import { archive, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";
const USER = { name: "someone", password: "a secret" };
const LAYER = archive(
  member({ name: "usr/", typeflag: "5", mode: 0o755 }),
  member({ name: "usr/big" }, Buffer.alloc(200_000, "big")),
);

needs("docker-registry", "htpasswd", "skopeo").describe("composefs pull", () => {
  let registry: RunningRegistry;
  let proxy: FaultyRegistry;
  let home: string;
  let repository: string;

  beforeAll(async () => {
    registry = await startRegistry({ user: USER });
    proxy = await startFaultyRegistry(registry.url);
    const image = await makeImage({ layers: [LAYER] });
    const target = await openImageTarget(`docker://${proxy.host}/some/name:one`, {
      registry: {
        insecure: true,
        credentials: { username: USER.name, password: USER.password },
      },
    });
    await putImage(target, image, "one");
    const { digest, mediaType, size } = image.descriptor;
    const platform = { os: "linux", architecture: process.arch === "x64" ? "amd64" : "arm64" };
    const manifests = [{ mediaType, digest, size, platform }];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
    await target.putManifest(Buffer.from(index), INDEX, "index");
    await target.close();
    // As podman and registries.conf have it.
    home = tempDir();
    mkdirSync(join(home, ".config/containers"), { recursive: true });
    const auth = Buffer.from(`${USER.name}:${USER.password}`).toString("base64");
    const auths = { [proxy.host]: { auth } };
    writeFileSync(join(home, ".config/containers/auth.json"), JSON.stringify({ auths }));
    writeFileSync(
      join(home, ".config/containers/registries.conf"),
      `[[registry]]\nlocation = "${proxy.host}"\ninsecure = true\n[aliases]\nmine = "${proxy.host}/some/name"\n`,
    );
  }, 60_000);

  beforeEach(async () => {
    proxy.reset();
    repository = join(tempDir(), "repository");
    const made = await composefs("repo", "init", "--verity=missing-allowed", repository);
    expect(made).toMatchObject({ status: 0 });
  });

  const pull = (...args: string[]): ReturnType<typeof composefs> =>
    composefs("pull", "--repo", repository, ...args);

  function composefs(...args: string[]): Promise<{ status: number | null; output: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(join(CHECKOUT, "bin/composefs"), args, {
        env: { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: home },
      });
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
      child.once("error", reject);
      child.once("close", (status) => resolve({ status, output }));
    });
  }

  /** What was asked, without what was refused and asked again with a password. */
  const asked = (): string[] =>
    proxy.seen
      .filter(({ headers }) => headers.authorization !== undefined)
      .map(({ line }) => line.replace(/ .*\/(?<kind>manifests|blobs)\//, " $<kind> "));

  test("gets an image by the user's own files, and the second time only its manifest", async () => {
    expect(await pull("mine:one")).toMatchObject({ status: 0 });
    expect(asked().filter((line) => line.startsWith("GET manifests"))).toHaveLength(1);
    expect(asked().filter((line) => line.startsWith("GET blobs"))).toHaveLength(2);
    proxy.reset();
    expect(await pull("mine:one")).toMatchObject({ status: 0 });
    expect(asked()).toEqual([expect.stringMatching(/ manifests one$/)]);
  });

  test("gets an image out of an index", async () => {
    expect(await pull(`${proxy.host}/some/name:index`)).toMatchObject({ status: 0 });
    expect(asked().filter((line) => line.startsWith("GET blobs"))).toHaveLength(2);
    proxy.reset();
    expect(await pull(`${proxy.host}/some/name:index`)).toMatchObject({ status: 0 });
    expect(asked()).toEqual([expect.stringMatching(/ manifests index$/)]);
  });

  test("what was pulled can be pushed, and skopeo reads it", async () => {
    expect(await pull("mine:one")).toMatchObject({ status: 0 });
    const name = "other/name:two";
    const place = `docker://${proxy.host}/${name}`;
    const pushed = await composefs("push", "--repo", repository, "mine:one", place);
    expect(pushed).toMatchObject({ status: 0 });
    const credentials = `--src-creds=${USER.name}:${USER.password}`;
    const copy = `dir:${join(tempDir(), "copy")}`;
    // Not by the proxy, which waits for us while we wait for skopeo.
    skopeoCopy(`docker://${registry.host}/${name}`, copy, "--src-tls-verify=false", credentials);
  });

  test("a registry whose name nobody knows is asked for once", async () => {
    const host = await pull("registry.invalid/some/name:one");
    expect(host).toMatchObject({ status: 1, output: expect.stringMatching(/registry\.invalid/) });
  });

  test("says what it cannot do, and no secret", async () => {
    const absent = await pull("mine:two");
    expect(absent).toMatchObject({ status: 1, output: expect.stringContaining("404") });
    const digest = createHash("sha256").update("absent").digest("hex");
    expect(await pull(`mine@sha256:${digest}`)).toMatchObject({ status: 1 });
    proxy.inject({
      on: /./,
      fault: { kind: "status", status: 401, headers: { "www-authenticate": "Basic realm=x" } },
    });
    const denied = await pull("mine:one");
    expect(denied).toMatchObject({
      status: 1,
      output: expect.stringMatching(/auth\.json.*\n.*podman login/),
    });
    expect(denied.output).not.toMatch(/a secret|YSBzZWNyZXQ/);
    const tls = await pull("--tls-verify=true", "mine:one");
    expect(tls).toMatchObject({ status: 1, output: expect.stringContaining("TLS") });
  });
});
