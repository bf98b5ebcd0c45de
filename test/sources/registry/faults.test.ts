/** What happens when registries and networks go wrong: a table of faults, outcomes and counts. */

import { beforeAll, beforeEach, expect, test } from "vitest";
import { openRegistrySource } from "#src/mod.ts";
import type { RegistryOptions } from "#src/mod.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { Fault, FaultyRegistry } from "../../support/faulty-registry.ts";
import { needs } from "../../support/needs.ts";
import { SampleImage } from "./sample-image.ts";

/** Short enough for tests, long enough for a busy machine. */
const LIMITS: RegistryOptions["limits"] = {
  connect: 5000,
  headers: 700,
  stall: 700,
  metadata: 3000,
  attempts: 4,
  backoff: 5,
  maxWait: 1500,
};

const LAYER = /GET \/v2\/some\/name\/blobs\//;
const MANIFEST = /GET \/v2\/some\/name\/manifests\//;

interface Case {
  readonly name: string;
  readonly on: RegExp;
  readonly fault: Fault;
  readonly times?: number;
  /** Whether the layer arrives, or the code of the error. */
  readonly outcome: string;
  /** How many requests match `on`. */
  readonly requests: number;
}

const status = (code: number, headers?: Record<string, string>, body = ""): Fault => ({
  kind: "status",
  status: code,
  body,
  ...(headers === undefined ? {} : { headers }),
});
const past = "Wed, 21 Oct 2015 07:28:00 GMT";
const MIDDLE = 400_000;

const CASES: readonly Case[] = [
  {
    name: "401 for nobody",
    on: MANIFEST,
    fault: status(401, { "www-authenticate": 'Basic realm="x"' }),
    outcome: "registry-denied",
    requests: 1,
  },
  {
    name: "401 in a way nobody knows",
    on: MANIFEST,
    fault: status(401, { "www-authenticate": "Negotiate" }),
    outcome: "registry-denied",
    requests: 1,
  },
  {
    name: "401 without a word",
    on: MANIFEST,
    fault: status(401),
    outcome: "registry-denied",
    requests: 1,
  },
  { name: "403", on: MANIFEST, fault: status(403), outcome: "registry-denied", requests: 1 },
  {
    name: "403 for a layer",
    on: LAYER,
    fault: status(403),
    outcome: "registry-denied",
    requests: 1,
  },
  { name: "404", on: MANIFEST, fault: status(404), outcome: "registry-not-found", requests: 1 },
  {
    name: "404 for a layer",
    on: LAYER,
    fault: status(404),
    outcome: "registry-not-found",
    requests: 1,
  },
  { name: "418", on: MANIFEST, fault: status(418), outcome: "registry-failed", requests: 1 },
  {
    name: "429 twice",
    on: MANIFEST,
    fault: status(429),
    times: 2,
    outcome: "arrives",
    requests: 3,
  },
  {
    name: "429 with seconds",
    on: MANIFEST,
    fault: status(429, { "retry-after": "1" }),
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "429 with a date in the past",
    on: LAYER,
    fault: status(429, { "retry-after": past }),
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "429 with nonsense",
    on: LAYER,
    fault: status(429, { "retry-after": "soon" }),
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "429 that asks for an hour",
    on: MANIFEST,
    fault: status(429, { "retry-after": "3600" }),
    outcome: "registry-failed",
    requests: 1,
  },
  {
    name: "429 for ever",
    on: MANIFEST,
    fault: status(429),
    outcome: "registry-failed",
    requests: 4,
  },
  { name: "500 once", on: MANIFEST, fault: status(500), times: 1, outcome: "arrives", requests: 2 },
  {
    name: "500 for a layer, three times",
    on: LAYER,
    fault: status(500),
    times: 3,
    outcome: "arrives",
    requests: 4,
  },
  { name: "503 for ever", on: LAYER, fault: status(503), outcome: "registry-failed", requests: 4 },
  {
    name: "hangs once",
    on: MANIFEST,
    fault: { kind: "hang" },
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "hangs for ever",
    on: MANIFEST,
    fault: { kind: "hang" },
    outcome: "network-failed",
    requests: 4,
  },
  {
    name: "resets once",
    on: LAYER,
    fault: { kind: "reset" },
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "resets for ever",
    on: LAYER,
    fault: { kind: "reset" },
    outcome: "network-failed",
    requests: 4,
  },
  {
    name: "a manifest is cut",
    on: MANIFEST,
    fault: { kind: "cut", after: 100 },
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "a manifest stalls",
    on: MANIFEST,
    fault: { kind: "stall", after: 100 },
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "a layer is cut",
    on: LAYER,
    fault: { kind: "cut", after: MIDDLE },
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "a layer is cut each time, and goes on",
    on: LAYER,
    fault: { kind: "cut", after: MIDDLE },
    times: 3,
    outcome: "arrives",
    requests: 4,
  },
  {
    name: "a layer is cut at once, for ever",
    on: LAYER,
    fault: { kind: "cut", after: 0 },
    outcome: "network-failed",
    requests: 4,
  },
  {
    name: "a layer stalls",
    on: LAYER,
    fault: { kind: "stall", after: MIDDLE },
    times: 1,
    outcome: "arrives",
    requests: 2,
  },
  {
    name: "a layer is announced shorter",
    on: LAYER,
    fault: { kind: "truncate", to: MIDDLE },
    outcome: "content-mismatch",
    requests: 1,
  },
  {
    name: "a manifest is truncated",
    on: MANIFEST,
    fault: { kind: "truncate", to: 100 },
    outcome: "content-mismatch",
    requests: 1,
  },
  {
    name: "another layer of the same size",
    on: LAYER,
    fault: { kind: "flip", at: MIDDLE },
    outcome: "content-mismatch",
    requests: 1,
  },
  {
    name: "another manifest of the same size",
    on: MANIFEST,
    fault: { kind: "flip", at: 20 },
    outcome: "content-mismatch",
    requests: 1,
  },
  {
    name: "a layer that does not end",
    on: LAYER,
    fault: { kind: "append", bytes: 1_000_000 },
    outcome: "content-mismatch",
    requests: 1,
  },
  {
    name: "a manifest that is too large",
    on: MANIFEST,
    fault: { kind: "append", bytes: 5_000_000 },
    outcome: "registry-failed",
    requests: 1,
  },
  {
    name: "bytes that come slowly",
    on: LAYER,
    fault: { kind: "slow", piece: 65_536, pause: 20 },
    outcome: "arrives",
    requests: 1,
  },
  {
    name: "bytes that come too slowly",
    on: LAYER,
    fault: { kind: "slow", piece: 1, pause: 100 },
    outcome: "network-failed",
    requests: 4,
  },
  {
    name: "redirects in a loop",
    on: MANIFEST,
    fault: { kind: "redirect", to: "itself" },
    outcome: "registry-failed",
    requests: 1,
  },
  {
    name: "redirects a layer in a loop",
    on: LAYER,
    fault: { kind: "redirect", to: "itself" },
    outcome: "registry-failed",
    requests: 1,
  },
  {
    name: "redirects to what is not HTTP",
    on: LAYER,
    fault: { kind: "redirect", to: "file:///etc/passwd" },
    outcome: "registry-failed",
    requests: 1,
  },
  {
    name: "ranges are ignored",
    on: LAYER,
    fault: { kind: "ignore-range" },
    outcome: "arrives",
    requests: 1,
  },
];

needs("docker-registry", "skopeo").describe("a registry that goes wrong", () => {
  let proxy: FaultyRegistry;
  const image = new SampleImage(2_000_000);
  const { layer } = image;

  beforeAll(async () => {
    const registry = await startRegistry();
    image.push(registry.host);
    proxy = await startFaultyRegistry(registry.url);
  }, 60_000);

  beforeEach(() => proxy.reset());

  /** Pulls manifest and layer; `arrives`, or the code of the error. */
  async function pull(options: RegistryOptions = {}): Promise<string> {
    const source = openRegistrySource(`${proxy.host}/some/name:one`, {
      insecure: true,
      limits: LIMITS,
      ...options,
    });
    return (await image.takeFrom(source)).replace(/:.*/s, "");
  }

  for (const { name, on, fault, times, outcome, requests } of CASES) {
    test(`${name}: ${outcome}, ${requests} requests`, async () => {
      proxy.inject({ on, fault, ...(times === undefined ? {} : { times }) });
      expect(await pull()).toBe(outcome);
      expect(proxy.count(on)).toBe(requests);
    }, 20_000);
  }

  test("a layer that is cut is taken up where it was cut", async () => {
    proxy.inject({ on: LAYER, times: 1, fault: { kind: "cut", after: MIDDLE } });
    expect(await pull()).toBe("arrives");
    const [, second] = proxy.seen.filter(({ line }) => LAYER.test(line));
    const from = Number(/^bytes=(\d+)-$/.exec(second!.headers.range!)![1]);
    expect(from).toBeGreaterThan(0);
    expect(from).toBeLessThanOrEqual(MIDDLE);
    expect(second!.headers["if-range"]).toMatch(/^"/);
  });

  test("a layer that is cut arrives from a server without ranges as well", async () => {
    proxy.inject({ on: LAYER, times: 1, fault: { kind: "cut", after: MIDDLE } });
    proxy.inject({ on: LAYER, fault: { kind: "ignore-range" } });
    expect(await pull()).toBe("arrives");
    expect(proxy.count(LAYER)).toBe(2);
  });

  test("a layer that is cut arrives after a refused range as well", async () => {
    proxy.inject({ on: LAYER, times: 1, fault: { kind: "cut", after: MIDDLE } });
    proxy.inject({ on: LAYER, times: 1, fault: status(416) });
    expect(await pull()).toBe("arrives");
    expect(proxy.count(LAYER)).toBe(3);
  });

  test("a second look at an image costs one request without a body", async () => {
    const source = openRegistrySource(`${proxy.host}/some/name:one`, { insecure: true });
    const { descriptor } = await source.resolve();
    proxy.reset();
    expect(await source.peek()).toMatchObject({ digest: descriptor.digest });
    expect(proxy.seen.map(({ line }) => line)).toEqual(["HEAD /v2/some/name/manifests/one"]);
    await source.close();
  });

  test("a wait that the server asks for is waited for", async () => {
    const waits: number[] = [];
    const clock = {
      now: () => Date.parse("2026-01-01T00:00:00Z"),
      elapsed: () => 0,
      random: () => 0.5,
      sleep: async (milliseconds: number) => void waits.push(milliseconds),
    };
    const limits = { ...LIMITS, maxWait: 60_000, backoff: 500 };
    const date = "Thu, 01 Jan 2026 00:00:09 GMT";
    proxy.inject({ on: MANIFEST, times: 1, fault: status(503, { "retry-after": "7" }) });
    proxy.inject({ on: MANIFEST, times: 1, fault: status(503, { "retry-after": date }) });
    proxy.inject({ on: MANIFEST, times: 1, fault: status(503) });
    expect(await pull({ clock, limits })).toBe("arrives");
    expect(waits).toEqual([7000, 9000, 1500]);
  });

  test("a signal ends what is under way with its reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    proxy.inject({ on: MANIFEST, fault: { kind: "hang" } });
    const source = openRegistrySource(`${proxy.host}/some/name:one`, { insecure: true });
    const resolving = source.resolve({ signal: controller.signal });
    setTimeout(() => controller.abort(reason), 50);
    await expect(resolving).rejects.toBe(reason);
    proxy.reset();
    proxy.inject({ on: LAYER, fault: { kind: "stall", after: MIDDLE } });
    const later = new AbortController();
    const reading = (async () => {
      for await (const piece of source.openBlob(layer, { signal: later.signal })) {
        if (piece.length > 0) setTimeout(() => later.abort(reason), 50);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    await source.close();
  });

  test("a reader who takes his time is not a server that stalls", async () => {
    const source = openRegistrySource(`${proxy.host}/some/name:one`, {
      insecure: true,
      limits: { ...LIMITS, stall: 150 },
    });
    let size = 0;
    for await (const piece of source.openBlob(layer)) {
      if (size === 0) await new Promise((resolve) => setTimeout(resolve, 600));
      size += piece.length;
    }
    expect(size).toBe(layer.size);
    expect(proxy.count(LAYER)).toBe(1);
    await source.close();
  });
});
