/** Parts of blobs: from a real registry, and from servers with other manners. */

import fc from "fast-check";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { NoRangesError } from "#src/sources/no-ranges.ts";
import { openRegistrySource } from "#src/mod.ts";
import type { BlobRange } from "#src/mod.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { FaultyRegistry } from "../../support/faulty-registry.ts";
import { needs } from "../../support/needs.ts";
import { SampleImage } from "./sample-image.ts";

const LAYER = /GET \/v2\/some\/name\/blobs\//;
const LIMITS = { headers: 2000, stall: 2000, attempts: 4, backoff: 5 };
const RANGES: readonly BlobRange[] = [
  { offset: 0, length: 10 },
  { offset: 500, length: 100_000 },
  { offset: 300_000, length: 1 },
  { offset: 300_001, length: 99 },
  { offset: 700_000, length: 5000 },
];

needs("docker-registry", "skopeo").describe("openRanges", () => {
  let proxy: FaultyRegistry;
  const image = new SampleImage(1_000_000);
  const { layer, content } = image;

  beforeAll(async () => {
    const registry = await startRegistry();
    image.push(registry.host);
    proxy = await startFaultyRegistry(registry.url);
  }, 60_000);

  beforeEach(() => proxy.reset());

  /** Reads ranges, and checks that the pieces are these ranges in their order. */
  async function expectRanges(ranges: readonly BlobRange[] = RANGES): Promise<void> {
    const source = openRegistrySource(`${proxy.host}/some/name:one`, {
      insecure: true,
      limits: LIMITS,
    });
    const pieces: Buffer[] = [];
    const wanted = ranges.filter(({ length }) => length > 0);
    let at = 0;
    let done = 0;
    for await (const { offset, bytes } of source.openRanges(layer, ranges)) {
      expect(offset).toBe(wanted[at]!.offset + done);
      done += bytes.length;
      if (done === wanted[at]!.length) {
        at++;
        done = 0;
      }
      pieces.push(Buffer.from(bytes));
    }
    const expected = ranges.map(({ offset, length }) => content.subarray(offset, offset + length));
    expect(Buffer.concat(pieces).equals(Buffer.concat(expected))).toBe(true);
    await source.close();
  }

  test("gets many parts by one request", async () => {
    await expectRanges();
    expect(proxy.seen.map(({ headers }) => headers.range)).toEqual([
      "bytes=0-9,500-100499,300000-300099,700000-704999",
    ]);
  });

  test("gets one part, none, and an empty one", async () => {
    await expectRanges([{ offset: 5, length: 7 }]);
    await expectRanges([{ offset: 5, length: 0 }]);
    await expectRanges([]);
    expect(proxy.count(LAYER)).toBe(1);
  });

  test("gets a thousand parts by few requests", async () => {
    const ranges = Array.from({ length: 1000 }, (_, i) => ({ offset: i * 900, length: 100 }));
    await expectRanges(ranges);
    expect(proxy.count(LAYER)).toBeLessThanOrEqual(8);
  });

  test("gets any parts in any order", async () => {
    const range = fc
      .tuple(fc.nat(content.length - 1), fc.nat(50_000))
      .map(([offset, length]) => ({ offset, length: Math.min(length, content.length - offset) }));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 6 }), (ranges) => expectRanges(ranges)),
      { numRuns: 40 },
    );
  });

  test("asks a server that ignores ranges for the whole, once", async () => {
    proxy.inject({ on: LAYER, fault: { kind: "ignore-range" } });
    await expectRanges();
    expect(proxy.count(LAYER)).toBe(3);
    expect(proxy.seen.at(-1)!.headers.range).toBeUndefined();
  });

  test("refuses the whole of a server that ignores ranges, where only parts are wanted", async () => {
    proxy.inject({ on: LAYER, fault: { kind: "ignore-range" } });
    const source = openRegistrySource(`${proxy.host}/some/name:one`, { insecure: true });
    const pieces = source.openRanges(layer, [{ offset: 0, length: 9 }], { onlyParts: true });
    await expect(pieces.next()).rejects.toBeInstanceOf(NoRangesError);
    expect(proxy.count(LAYER)).toBe(1);
    await source.close();
  });

  test("asks a server that ignores a request for many parts for one after the other", async () => {
    proxy.inject({ on: LAYER, times: 1, fault: { kind: "ignore-range" } });
    await expectRanges();
    expect(proxy.seen.map(({ headers }) => headers.range)).toEqual([
      "bytes=0-9,500-100499,300000-300099,700000-704999",
      "bytes=0-9",
      "bytes=500-100499",
      "bytes=300000-300099",
      "bytes=700000-704999",
    ]);
  });

  for (const after of [0, 200, 60_000, 101_000]) {
    test(`goes on after a cut at ${after}`, async () => {
      proxy.inject({ on: LAYER, times: 1, fault: { kind: "cut", after } });
      await expectRanges();
      expect(proxy.count(LAYER)).toBe(2);
    });
  }

  test("goes on after a refusal that passes", async () => {
    proxy.inject({ on: LAYER, times: 2, fault: { kind: "status", status: 503 } });
    await expectRanges();
    expect(proxy.count(LAYER)).toBe(3);
  });

  const hostile: readonly (readonly [string, Record<string, string>, string])[] = [
    [
      "parts without a place",
      { "content-type": "multipart/byteranges; boundary=b" },
      "--b\r\n\r\nabc\r\n--b--\r\n",
    ],
    ["no parts", { "content-type": "multipart/byteranges; boundary=b" }, "--b--\r\n"],
    ["no boundary", { "content-type": "multipart/byteranges; boundary=b" }, "x".repeat(100_000)],
    [
      "an endless header",
      { "content-type": "multipart/byteranges; boundary=b" },
      `--b\r\n${"a: b\r\n".repeat(9000)}`,
    ],
    [
      "a part that ends early",
      { "content-type": "multipart/byteranges; boundary=b" },
      "--b\r\ncontent-range: bytes 0-9/1000\r\n\r\nabc",
    ],
    [
      "parts in another order",
      { "content-type": "multipart/byteranges; boundary=b" },
      "--b\r\ncontent-range: bytes 700000-700002/1000000\r\n\r\nabc\r\n--b--\r\n",
    ],
    ["another part", { "content-range": "bytes 900000-900002/1000000" }, "abc"],
    ["a place that is none", { "content-range": "bytes 9-3/2" }, "abc"],
    ["nothing", {}, ""],
  ];
  for (const [name, headers, body] of hostile) {
    // What comes is not verified: these bytes are taken for the blob's.
    if (name !== "a part that ends early")
      test(`does without answers that hold ${name}`, async () => {
        proxy.inject({
          on: LAYER,
          times: 2,
          fault: { kind: "status", status: 206, headers, body },
        });
        await expectRanges();
        expect(proxy.count(LAYER)).toBeLessThan(10);
      });
    test(`gives up on a server that only sends ${name}`, async () => {
      proxy.inject({ on: LAYER, fault: { kind: "status", status: 206, headers, body } });
      await expect(expectRanges()).rejects.toMatchObject({
        code: expect.stringMatching(/^(?:registry|network)-failed$/),
      });
      expect(proxy.count(LAYER)).toBeLessThan(10);
    });
  }

  test("refuses parts outside of the blob", async () => {
    const source = openRegistrySource(`${proxy.host}/some/name:one`, { insecure: true });
    const bad = [
      { offset: 0, length: layer.size + 1 },
      { offset: -1, length: 1 },
      { offset: Number.MAX_SAFE_INTEGER, length: 2 },
    ];
    for (const range of bad) {
      const first = source.openRanges(layer, [range]).next();
      await expect(first).rejects.toMatchObject({ code: "invalid-manifest" });
    }
    await source.close();
  });
});
