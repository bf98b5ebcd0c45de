import { hash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockHash, blockHashWays } from "#src/floor/mod.ts";
import type { BlockHashWay } from "#src/floor/mod.ts";

type Algorithm = "sha256" | "sha512";

const ALGORITHMS: readonly Algorithm[] = ["sha256", "sha512"];
const WAYS: [Algorithm, BlockHashWay][] = ALGORITHMS.flatMap((algorithm) =>
  blockHashWays(algorithm).map((way): [Algorithm, BlockHashWay] => [algorithm, way]),
);

/** Bytes that differ from block to block and from word to word. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed + 1) | 0;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Hashes with the way under test at the given alignment; checks that nothing else is written. */
function expectSameDigests(
  algorithm: Algorithm,
  way: BlockHashWay,
  input: { count: number; blockSize: number; offset: number; seed: number },
): void {
  const { count, blockSize, offset, seed } = input;
  const digestSize = algorithm === "sha256" ? 32 : 64;
  const blocks = noise(offset + count * blockSize, seed).subarray(offset);
  const before = Buffer.from(blocks);
  const arena = new Uint8Array(offset + count * digestSize + 16).fill(0xa5);
  const out = arena.subarray(offset);

  blockHash(algorithm, way).hashBlocks(blocks, blockSize, out);

  const want = new Uint8Array(arena.length).fill(0xa5);
  for (let i = 0; i < count; i++) {
    const block = blocks.subarray(i * blockSize, (i + 1) * blockSize);
    want.set(hash(algorithm, block, "buffer"), offset + i * digestSize);
  }
  if (Buffer.compare(arena, want) !== 0) {
    expect.fail(`${algorithm} ${way} differs for ${JSON.stringify(input)}`);
  }
  expect(Buffer.compare(blocks, before)).toBe(0);
}

describe("blockHash", () => {
  test("has crypto.hash as the last way of every machine", () => {
    for (const algorithm of ALGORITHMS) expect(blockHashWays(algorithm).at(-1)).toBe("pure");
  });

  test("takes the first way unless told, and the way it is told", () => {
    for (const algorithm of ALGORITHMS) {
      expect(blockHash(algorithm, "").way).toBe(blockHashWays(algorithm)[0]);
    }
    for (const [algorithm, way] of WAYS) expect(blockHash(algorithm, way).way).toBe(way);
  });

  test("refuses a way that the machine has not, and names those it has", () => {
    expect(() => blockHash("sha256", "abacus")).toThrow(/"abacus": this machine has .*pure/);
  });

  test("takes `native` for any way but the pure one", () => {
    const ways = blockHashWays("sha512");
    if (ways.length === 1) expect(() => blockHash("sha512", "native")).toThrow(RangeError);
    else expect(blockHash("sha512", "native").way).not.toBe("pure");
  });
});

describe.each(WAYS)("hashBlocks, %s by %s", (algorithm, way) => {
  test("equals crypto on every block size to 260 bytes, every count to 17", () => {
    for (let blockSize = 1; blockSize <= 260; blockSize++) {
      for (let count = 0; count <= 17; count++) {
        const offset = (blockSize + count) % 16;
        expectSameDigests(algorithm, way, { count, blockSize, offset, seed: blockSize });
      }
    }
  });

  test("equals crypto on every alignment from 0 to 64", () => {
    for (let offset = 0; offset <= 64; offset++) {
      expectSameDigests(algorithm, way, { count: 17, blockSize: 1024, offset, seed: offset });
    }
  });

  test.each([1024, 2048, 4096, 8192, 16384, 32768, 65536])(
    "equals crypto on blocks of %i bytes, every count to 33",
    (blockSize) => {
      for (let count = 1; count <= 33; count += blockSize > 8192 ? 4 : 1) {
        expectSameDigests(algorithm, way, { count, blockSize, offset: 0, seed: count });
      }
    },
  );

  test("equals crypto on random sizes, counts and alignments", () => {
    const input = fc.record({
      count: fc.integer({ min: 0, max: 40 }),
      blockSize: fc.oneof(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 1, max: 70_000 })),
      offset: fc.integer({ min: 0, max: 64 }),
      seed: fc.integer({ min: 0 }),
    });
    fc.assert(
      fc.property(input, (one) => {
        expectSameDigests(algorithm, way, one);
      }),
      { numRuns: 60 },
    );
  });
});
