/** Pushing to a real registry, read back by skopeo; and what happens when it goes wrong. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { openRegistrySource, openRegistryTarget, parseManifest } from "#src/mod.ts";
import type { Descriptor, RegistryTargetOptions } from "#src/mod.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import type { RunningRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { FaultyRegistry } from "../../support/faulty-registry.ts";
import { LayoutWriter, describe, pattern } from "../../support/images.ts";
import { needs } from "../../support/needs.ts";
import { skopeoCopy, skopeoRaw } from "../../support/skopeo.ts";
import { tempDir } from "../../support/temp.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const LIMITS = { headers: 2000, stall: 2000, attempts: 4, backoff: 5 };
const MIB = 1024 * 1024;

needs("docker-registry", "skopeo").describe("openRegistryTarget", () => {
  let registry: RunningRegistry;
  let proxy: FaultyRegistry;
  let layout: LayoutWriter;
  let image: Descriptor;
  let blobs: readonly Descriptor[];
  let repositories = 0;
  let repository: string;

  beforeAll(async () => {
    registry = await startRegistry();
    proxy = await startFaultyRegistry(registry.url);
    layout = new LayoutWriter(tempDir());
    image = layout.image([pattern(9 * MIB), pattern(1000, 2)]);
    const { config, layers } = parseManifest(layout.read(image));
    blobs = [config, ...layers];
  }, 60_000);

  beforeEach(() => {
    proxy.reset();
    repository = `some/name${++repositories}`;
  });

  async function* pieces(bytes: Uint8Array, size = 100_000): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(size);
    for (let at = 0; at < bytes.length; at += size) {
      // The same buffer each time: a target keeps nothing that is not its own.
      const piece = bytes.subarray(at, at + size);
      buffer.set(piece);
      yield buffer.subarray(0, piece.length);
    }
    await Promise.resolve();
  }

  async function push(options: RegistryTargetOptions = {}): Promise<void> {
    const target = openRegistryTarget(`${proxy.host}/${repository}:one`, {
      insecure: true,
      limits: LIMITS,
      ...options,
    });
    try {
      for (const blob of blobs) {
        if (await target.hasBlob(blob)) continue;
        await target.putBlob(blob, pieces(layout.read(blob)));
        expect(await target.hasBlob(blob)).toBe(true);
      }
      expect(await target.putManifest(layout.read(image), MANIFEST, "one")).toBe(image.digest);
    } finally {
      await target.close();
    }
  }

  /** skopeo finds what was pushed, byte for byte. */
  function expectPushed(): void {
    const name = `docker://${registry.host}/${repository}:one`;
    expect(skopeoRaw(name, "--tls-verify=false").equals(layout.read(image))).toBe(true);
    const directory = join(tempDir(), "copy");
    skopeoCopy(name, `dir:${directory}`, "--src-tls-verify=false");
    for (const blob of blobs) {
      const copied = readFileSync(join(directory, blob.digest.slice("sha256:".length)));
      expect(copied.equals(layout.read(blob))).toBe(true);
    }
  }

  test("stores blobs and manifest as skopeo reads them", async () => {
    await push();
    expectPushed();
  });

  test("sends nothing that is there", async () => {
    await push();
    proxy.reset();
    await push();
    expect(proxy.count(/^POST|^PATCH/)).toBe(0);
    expectPushed();
  });

  for (const chunkSize of [100_000, MIB, 100 * MIB]) {
    test(`stores blobs in chunks of ${chunkSize}`, async () => {
      await push({ chunkSize });
      expect(proxy.count(/^PATCH/)).toBeGreaterThan(0);
      expectPushed();
    });
  }

  test("has blobs mounted from another repository", async () => {
    await push();
    const from = repository;
    repository = `some/name${++repositories}`;
    proxy.reset();
    await push({ mountFrom: ["not/there", from] });
    expect(proxy.count(/^PUT .*\/blobs\//)).toBe(0);
    expectPushed();
  });

  test("sends blobs that no other repository has", async () => {
    await push({ mountFrom: ["not/there"] });
    expectPushed();
  });

  test("tries small blobs again after a cut and after a failure", async () => {
    proxy.inject({ on: /^PUT .*\/blobs\//, times: 1, fault: { kind: "reset" } });
    proxy.inject({ on: /^PUT .*\/blobs\//, times: 1, fault: { kind: "status", status: 500 } });
    proxy.inject({ on: /^POST/, times: 1, fault: { kind: "status", status: 503 } });
    await push();
    expectPushed();
  });

  test("goes on with chunks after cuts and failures", async () => {
    proxy.inject({ on: /^PATCH/, times: 2, fault: { kind: "status", status: 503 } });
    proxy.inject({ on: /^PATCH/, times: 1, fault: { kind: "reset" } });
    await push({ chunkSize: MIB });
    expectPushed();
  });

  test("begins anew, the next time, after a chunk whose answer was lost", async () => {
    proxy.inject({ on: /^PATCH/, times: 1, fault: { kind: "lose-answer" } });
    // This registry takes no more of such an upload.
    await expect(push({ chunkSize: MIB })).rejects.toMatchObject({ code: "network-failed" });
    await push({ chunkSize: MIB });
    expectPushed();
  });

  test("says that a large blob did not arrive, and arrives the next time", async () => {
    proxy.inject({ on: /^PUT .*\/blobs\//, times: 10, fault: { kind: "reset" } });
    await expect(push()).rejects.toMatchObject({ code: "network-failed" });
    proxy.reset();
    await push();
    expectPushed();
  });

  test("stores no blob that is another one", async () => {
    const target = openRegistryTarget(`${proxy.host}/${repository}`, { insecure: true });
    for (const [size, chunkSize] of [
      [1000, undefined],
      [9 * MIB, undefined],
      [9 * MIB, MIB],
    ] as const) {
      const promised = describe(pattern(size, 7), "application/octet-stream");
      const others = [pattern(size, 8), pattern(size - 1, 7), Buffer.alloc(size + 1)];
      const options = chunkSize === undefined ? {} : { chunkSize };
      const chunked = openRegistryTarget(`${proxy.host}/${repository}`, {
        insecure: true,
        ...options,
      });
      for (const other of others) {
        await expect(chunked.putBlob(promised, pieces(other))).rejects.toMatchObject({
          code: "content-mismatch",
        });
        expect(await target.hasBlob(promised)).toBe(false);
      }
      await chunked.close();
    }
    await target.close();
  });

  test("hands on what the source of a blob throws", async () => {
    const target = openRegistryTarget(`${proxy.host}/${repository}`, { insecure: true });
    const reason = new Error("the disk is gone");
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(100);
      await Promise.resolve();
      throw reason;
    }
    for (const size of [1000, 20 * MIB]) {
      const promised = { ...describe(pattern(1000), "x/y"), size };
      await expect(target.putBlob(promised, failing())).rejects.toBe(reason);
    }
    await target.close();
  });

  test("keeps a list of what is about an image, under its tag", async () => {
    await push();
    const target = openRegistryTarget(`${proxy.host}/${repository}`, { insecure: true });
    const { config } = parseManifest(layout.read(image));
    const about = (name: string): Buffer =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MANIFEST,
          artifactType: "test/signature",
          config,
          layers: [],
          subject: { mediaType: MANIFEST, digest: image.digest, size: image.size },
          annotations: { name },
        }),
      );
    const digests = [];
    for (const name of ["a", "b", "a"]) {
      digests.push(await target.putManifest(about(name), MANIFEST));
    }
    // Nothing is tagged that the name does not tag: an image may be the latest there.
    expect(target.tag).toBeUndefined();
    await target.close();
    expect(() =>
      skopeoRaw(`docker://${registry.host}/${repository}`, "--tls-verify=false"),
    ).toThrow(/manifest unknown/);
    const source = openRegistrySource(`${proxy.host}/${repository}:one`, { insecure: true });
    const found = await source.referrers(image.digest, { artifactType: "test/signature" });
    expect(found.map(({ digest }) => digest)).toEqual(digests.slice(0, 2));
    expect(found.map(({ annotations }) => annotations["name"])).toEqual(["a", "b"]);
    await source.close();
  });

  test("refuses to push to a digest", () => {
    expect(() => openRegistryTarget(`${proxy.host}/${repository}@${image.digest}`)).toThrow(
      expect.objectContaining({ code: "invalid-reference" }),
    );
  });
});
