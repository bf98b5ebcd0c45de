import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decompressLayer, detectCompression } from "#src/sources/mod.ts";
import type { LayerCompression } from "#src/core/mod.ts";
import { needsThat } from "../support/needs.ts";
import { findLibzstd } from "../support/zstd.ts";

const libzstd = await findLibzstd();
const zstd = needsThat(libzstd === undefined ? "needs libzstd.so.1" : undefined);
const text = Buffer.from("a layer of text, and of more text\n".repeat(100_000));
const noise = randomBytes(100_000);

const compress: Readonly<Record<"gzip" | "zstd", (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => gzipSync(bytes),
  zstd: (bytes) => Buffer.from(libzstd!.compression!.compressFrame([bytes])),
};

async function* chunks(bytes: Uint8Array, size = 1 << 16): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function decompress(
  bytes: Uint8Array,
  compression: LayerCompression,
  size?: number,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of decompressLayer(chunks(bytes, size), compression)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const corrupt = (compression: string): object => ({
  code: "corrupt-archive",
  message: expect.stringContaining(compression),
});

for (const compression of ["gzip", "zstd"] as const) {
  (compression === "gzip" ? needsThat(undefined) : zstd).describe(compression, () => {
    const pack = compress[compression];

    test.each([1, 100, 1 << 16, 1 << 24])("reads several parts, in chunks of %d", async (size) => {
      const parts =
        size === 1 ? [text.subarray(0, 999), noise.subarray(0, 99)] : [text, noise, text];
      const all = Buffer.concat([...parts, Buffer.alloc(0)].map(pack));
      expect((await decompress(all, compression, size)).equals(Buffer.concat(parts))).toBe(true);
    });

    test("reads parts that end where a chunk ends", async () => {
      const part = pack(noise);
      const all = Buffer.concat([part, part, part]);
      expect(await decompress(all, compression, part.length)).toHaveLength(3 * noise.length);
    });

    test("refuses every cut", async () => {
      const bytes = pack(Buffer.from("some content of a layer"));
      for (let length = 1; length < bytes.length; length++) {
        const cut = decompress(bytes.subarray(0, length), compression);
        await expect(cut, `${length}`).rejects.toMatchObject(corrupt(compression));
      }
      const second = Buffer.concat([bytes, bytes.subarray(0, 15)]);
      await expect(decompress(second, compression)).rejects.toMatchObject(corrupt(compression));
    });

    test.each([
      ["text", Buffer.from("garbage")],
      ["zeros", Buffer.alloc(512)],
      ["a zero", Buffer.alloc(1)],
      ["zeros and another part", Buffer.concat([Buffer.alloc(5), pack(text)])],
    ])("refuses %s behind the end", async (_, garbage) => {
      const all = Buffer.concat([pack(text), garbage]);
      for (const size of [7, 1 << 16, pack(text).length]) {
        await expect(decompress(all, compression, size)).rejects.toMatchObject(
          corrupt(compression),
        );
      }
    });

    test("refuses what is not compressed, and every damaged byte that changes the content", async () => {
      await expect(decompress(text, compression)).rejects.toMatchObject(corrupt(compression));
      const bytes = pack(Buffer.concat([text.subarray(0, 300), noise.subarray(0, 50)]));
      for (let at = 0; at < bytes.length; at++) {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= 0x55;
        const result = await decompress(damaged, compression).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toMatchObject(corrupt(compression));
        else expect(result).toBeInstanceOf(Buffer);
      }
    });

    test("is told by its first bytes", () => {
      expect(detectCompression(pack(text))).toBe(compression);
    });

    test("decompresses a bomb as far as it is asked, and stops its source", async () => {
      const bomb = pack(Buffer.alloc(64 << 20));
      let given = 0;
      let ended = false;
      const endless = async function* (): AsyncGenerator<Uint8Array, void> {
        try {
          for (;;) {
            given++;
            yield bomb;
          }
        } finally {
          ended = true;
        }
      };
      let size = 0;
      for await (const piece of decompressLayer(endless(), compression)) {
        size += piece.length;
        if (size > 1 << 20) break;
      }
      await expect.poll(() => ended).toBe(true);
      expect(given).toBeLessThan(20);
    });

    test("passes on what its source throws", async () => {
      const failing = async function* (): AsyncGenerator<Uint8Array, void> {
        yield pack(text);
        throw new TypeError("source");
      };
      const read = async (): Promise<void> => {
        for await (const _ of decompressLayer(failing(), compression)) {
          // Only the end matters.
        }
      };
      await expect(read()).rejects.toThrow(new TypeError("source"));
    });
  });
}

describe("none", () => {
  test("is what it was", async () => {
    expect((await decompress(text, "none")).equals(text)).toBe(true);
    expect(detectCompression(text)).toBe("none");
  });
});

test("gzip of nothing is an error, as it is cut", async () => {
  await expect(decompress(Buffer.alloc(0), "gzip")).rejects.toMatchObject(corrupt("gzip"));
});

test("detectCompression: does not take what it cannot read for a plain archive", () => {
  expect(detectCompression(Buffer.from("BZh91AY"))).toBeUndefined();
  expect(detectCompression(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]))).toBeUndefined();
});
