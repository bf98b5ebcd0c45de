/** Mirrors and registries that are searched: which one is asked for what, and who is shown secrets. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { openRegistrySource } from "#src/mod.ts";
import type { RegistryOptions } from "#src/mod.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { Fault, FaultyRegistry } from "../../support/faulty-registry.ts";
import { needs } from "../../support/needs.ts";
import { tempDir } from "../../support/temp.ts";
import { SampleImage } from "./sample-image.ts";

const LIMITS = { headers: 1000, stall: 1000, attempts: 3, backoff: 5 };

needs("docker-registry", "skopeo").describe("mirrors", () => {
  let main: FaultyRegistry;
  let mirror: FaultyRegistry;
  const image = new SampleImage(100_000);

  beforeAll(async () => {
    const registry = await startRegistry();
    for (const name of ["some/name", "copies/name"]) image.push(registry.host, name);
    main = await startFaultyRegistry(registry.url);
    mirror = await startFaultyRegistry(registry.url);
  }, 60_000);

  beforeEach(() => {
    main.reset();
    mirror.reset();
  });

  /** Pulls a manifest and a layer with this configuration; the code of the error, if there is one. */
  async function pull(name: string, conf: string, options: RegistryOptions = {}): Promise<string> {
    const registriesConf = join(tempDir(), "registries.conf");
    writeFileSync(registriesConf, conf);
    const source = openRegistrySource(name, {
      registriesConf,
      etc: "/nowhere",
      limits: LIMITS,
      ...options,
    });
    return image.takeFrom(source);
  }

  const mirrored = (more = ""): string => `
    [[registry]]
    prefix = "registry.test/some"
    location = "${main.host}/some"
    insecure = true
    mirror = [{ location = "${mirror.host}/copies", insecure = true ${more} }]
  `;
  const NAME = "registry.test/some/name:one";

  test("a mirror that has the image is asked for all of it", async () => {
    expect(await pull(NAME, mirrored())).toBe("arrives");
    expect(mirror.seen.map(({ line }) => line.replace(/sha256:.*/, ""))).toEqual([
      "GET /v2/copies/name/manifests/one",
      "GET /v2/copies/name/blobs/",
    ]);
    expect(main.seen).toEqual([]);
  });

  const faults: readonly (readonly [string, Fault, number])[] = [
    ["has it not", { kind: "status", status: 404 }, 1],
    ["denies it", { kind: "status", status: 403 }, 1],
    ["fails", { kind: "status", status: 500 }, 2],
    ["is gone", { kind: "reset" }, 2],
    ["hangs", { kind: "hang" }, 2],
    ["has another manifest", { kind: "flip", at: 30 }, 1],
  ];
  for (const [what, fault, requests] of faults) {
    test(`a mirror that ${what} is passed by`, async () => {
      mirror.inject({ on: /./, fault });
      expect(await pull(NAME, mirrored())).toBe("arrives");
      expect(mirror.count(/./)).toBe(requests);
      expect(main.count(/./)).toBe(2);
    });
  }

  test("when nobody has it, the error is the last one's, and tells of all", async () => {
    mirror.inject({ on: /./, fault: { kind: "status", status: 403 } });
    main.inject({ on: /./, fault: { kind: "status", status: 404 } });
    const error = await pull(NAME, mirrored());
    expect(error).toMatch(/^registry-not-found: .*before that: .*403/);
  });

  test("a mirror for digests is not asked for tags", async () => {
    const conf = mirrored(`, pull-from-mirror = "digest-only"`);
    expect(await pull(NAME, conf)).toBe("arrives");
    expect(mirror.seen).toEqual([]);
    expect(await pull(`registry.test/some/name@${image.manifest.digest}`, conf)).toBe("arrives");
    expect(mirror.count(/copies/)).toBe(2);
  });

  test("a mirror is not shown what was given for the registry", async () => {
    const challenge = { "www-authenticate": "Basic realm=x" };
    for (const each of [mirror, main]) {
      each.inject({
        on: /./,
        times: 1,
        fault: { kind: "status", status: 401, headers: challenge },
      });
    }
    const credentials = { username: "someone", password: "a secret" };
    expect(await pull(NAME, mirrored(), { credentials })).toBe("arrives");
    expect(JSON.stringify(mirror.seen)).not.toMatch(/authorization/i);
    expect(main.seen.filter(({ headers }) => headers.authorization !== undefined)).toHaveLength(2);
  });

  test("a short name is looked for in one registry after the other", async () => {
    const conf = `
      unqualified-search-registries = ["${mirror.host}", "${main.host}"]
      [[registry]]
      location = "${mirror.host}"
      insecure = true
      [[registry]]
      location = "${main.host}"
      insecure = true
    `;
    mirror.inject({ on: /./, fault: { kind: "status", status: 404 } });
    expect(await pull("some/name:one", conf)).toBe("arrives");
    expect([mirror.count(/./), main.count(/./)]).toEqual([1, 2]);
  });
});
