import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { loadZstd } from "#src/floor/mod.ts";
import type { Zstd } from "#src/floor/mod.ts";
import { needsThat } from "../support/needs.ts";
import { findLibzstd } from "../support/zstd.ts";

const libzstd = await findLibzstd();
const compressing = needsThat(libzstd === undefined ? "needs libzstd.so.1" : undefined);

/** A skippable frame that holds `content`. */
function skippable(content: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a57, 0);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
}

function join(pieces: Iterable<Uint8Array>): Buffer {
  const copies: Buffer[] = [];
  for (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

function* chunks(bytes: Uint8Array, size: number): Generator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const text = Buffer.from("all work and no play makes a frame\n".repeat(20_000));
const noise = randomBytes(300_000);
const frame = (...pieces: Uint8Array[]): Uint8Array => libzstd!.compression!.compressFrame(pieces);

describe("loadZstd", () => {
  test("refuses a way that is not known", async () => {
    await expect(loadZstd("zlib")).rejects.toThrow("zlib");
  });

  compressing.test("chooses libzstd where there is one", async () => {
    expect((await loadZstd("")).way).toBe("libzstd");
  });
});

compressing.describe("compressFrame", () => {
  test("makes the frames that are published for splitstreams", () => {
    expect(Buffer.from(frame()).toString("hex")).toBe("28b52ffd2000010000");
    expect(Buffer.from(frame(Buffer.from("0:x\0"))).toString("hex")).toBe(
      "28b52ffd0058210000303a7800",
    );
  });

  test("makes the same bytes however its input is cut", () => {
    const whole = frame(text, noise);
    expect(frame(...chunks(Buffer.concat([text, noise]), 999))).toEqual(whole);
  });

  test("obeys the level", () => {
    const { compressFrame } = libzstd!.compression!;
    expect(compressFrame([text], 19).length).toBeLessThan(compressFrame([text], 1).length);
  });

  test("createCompressor: yields the same frame in pieces", () => {
    const compressor = libzstd!.compression!.createCompressor();
    const first = join(compressor.push(noise));
    const all = Buffer.concat([first, join(compressor.push(text)), join(compressor.finish())]);
    expect(all.equals(frame(noise, text))).toBe(true);
    expect(() => join(compressor.push(text))).toThrow(TypeError);
  });
});

for (const way of ["libzstd", "wasm"] as const) {
  compressing.describe(`decompress by ${way}`, () => {
    let zstd: Zstd;
    beforeAll(async () => {
      zstd = await loadZstd(way);
    });

    test("is what was asked for", () => {
      expect(zstd.way).toBe(way);
    });

    test.each([1, 7, 4096, 1 << 22])("reads frames and skips others, in chunks of %d", (size) => {
      const all = Buffer.concat([
        skippable(Buffer.from("first")),
        frame(text),
        frame(),
        skippable(Buffer.alloc(0)),
        frame(noise),
        frame(Buffer.from("x")),
        skippable(Buffer.alloc(70_000)),
      ]);
      const expected = Buffer.concat([text, noise, Buffer.from("x")]);
      // A byte at a time takes long for nothing on all of them.
      const input = size === 1 ? all.subarray(0, 13 + frame(text).length) : all;
      const output = size === 1 ? text : expected;
      expect(join(zstd.decompress(chunks(input, size))).equals(output)).toBe(true);
    });

    test("gives all of a frame whose output ends with a full buffer", () => {
      for (const size of [131_071, 131_072, 131_073, 262_144]) {
        const bytes = Buffer.alloc(size, "ab");
        expect(join(zstd.decompress([frame(bytes)])).equals(bytes)).toBe(true);
        expect(join(zstd.decompress([frame(bytes), frame(bytes)]))).toHaveLength(2 * size);
      }
    });

    test("holds nothing where there is nothing", () => {
      expect(join(zstd.decompress([]))).toHaveLength(0);
    });

    test("refuses every cut", () => {
      const small = Buffer.concat([
        frame(Buffer.from("some content")),
        skippable(Buffer.from("s")),
      ]);
      const end = frame(Buffer.from("some content")).length;
      for (let length = 1; length < small.length; length++) {
        if (length === end) continue;
        expect(() => join(zstd.decompress([small.subarray(0, length)])), `${length}`).toThrow(
          /zstd/,
        );
      }
    });

    test("answers every flipped bit with other bytes or an error", () => {
      const bytes = Buffer.from(frame(text.subarray(0, 500), noise.subarray(0, 60)));
      let errors = 0;
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        try {
          join(zstd.decompress(chunks(flipped, 10)));
        } catch (error) {
          expect(String(error)).toMatch(/zstd/);
          errors++;
        }
      }
      expect(errors).toBeGreaterThan(30);
    });

    test("refuses what is no frame, behind a frame as well", () => {
      const garbage = Buffer.from("garbage after the end");
      expect(() => join(zstd.decompress([garbage]))).toThrow(/zstd/);
      expect(() => join(zstd.decompress([frame(text), garbage]))).toThrow(/zstd/);
    });

    test("does not go on after an error, or after its end", () => {
      const damaged = zstd.createDecompressor();
      expect(() => join(damaged.push(Buffer.alloc(20)))).toThrow(/zstd/);
      expect(() => join(damaged.push(frame(text)))).toThrow(TypeError);
      const ended = zstd.createDecompressor();
      ended.finish();
      ended.close();
      expect(() => join(ended.push(frame(text)))).toThrow(TypeError);
    });

    test("keeps streams apart", () => {
      const a = zstd.createDecompressor();
      const b = zstd.createDecompressor();
      const fromA: Buffer[] = [];
      const fromB: Buffer[] = [];
      const parts = [...chunks(frame(text), 50)];
      for (const part of parts) {
        fromA.push(join(a.push(part)));
        fromB.push(join(b.push(part)));
      }
      a.finish();
      b.finish();
      expect(Buffer.concat(fromA).equals(text)).toBe(true);
      expect(Buffer.concat(fromB).equals(text)).toBe(true);
    });

    test("frees what is left half-way", () => {
      const bomb = frame(Buffer.alloc(1 << 20));
      for (let i = 0; i < 300; i++) {
        for (const piece of zstd.decompress([bomb])) {
          expect(piece.length).toBeGreaterThan(0);
          break;
        }
      }
    });
  });
}

compressing.test("both ways give the same bytes", async () => {
  const ways = await Promise.all([loadZstd("libzstd"), loadZstd("wasm")]);
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc.nat({ max: 200_000 }).map((size) => Buffer.alloc(size, size)),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(part, fc.constantFrom(1, 3, 9), fc.boolean()), { maxLength: 5 }),
      fc.integer({ min: 1, max: 5000 }),
      (parts, size) => {
        const all = parts.map(([bytes, level, isSkipped]) =>
          isSkipped ? skippable(bytes) : libzstd!.compression!.compressFrame([bytes], level),
        );
        const kept = parts.filter(([, , isSkipped]) => !isSkipped).map(([bytes]) => bytes);
        for (const zstd of ways) {
          const out = join(zstd.decompress(chunks(Buffer.concat(all), size)));
          expect(out.equals(Buffer.concat(kept))).toBe(true);
        }
      },
    ),
    { numRuns: 40 },
  );
});
