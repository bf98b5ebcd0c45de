import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { computeFsVerityDigest, FsVerityBatch } from "#src/core/mod.ts";
import type { FsVerityAlgorithm } from "#src/core/mod.ts";
import { blockHash } from "#src/floor/mod.ts";

function content(size: number): Uint8Array {
  return new Uint8Array(size).map((_, i) => (i * 31 + size + (i >> 8)) & 0xff);
}

/** Digests of files of these sizes, batch after batch. */
function batchDigests(batch: FsVerityBatch, sizes: readonly number[]): string[] {
  const digests: string[] = [];
  for (const size of sizes) {
    let place = batch.add(size);
    if (place === undefined) {
      digests.push(...batch.digests());
      place = batch.add(size)!;
    }
    place.set(content(size));
  }
  return [...digests, ...batch.digests()];
}

describe.each<FsVerityAlgorithm>(["sha256", "sha512"])("FsVerityBatch, %s", (algorithm) => {
  const hash = blockHash(algorithm);
  const { maxFileSize } = new FsVerityBatch(hash);

  const boundaries = [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, maxFileSize - 1, maxFileSize];
  test.each(boundaries)("gives a file of %i bytes the digest of the hasher", (size) => {
    const want = computeFsVerityDigest(content(size), hash);
    expect(batchDigests(new FsVerityBatch(hash), [size])).toEqual([want]);
  });

  test("gives files of any sizes their digests in order, batch after batch", () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 9000 }),
      fc.integer({ min: 0, max: maxFileSize }),
    );
    const reused = new FsVerityBatch(hash);
    fc.assert(
      fc.property(fc.array(size, { maxLength: 20 }), (sizes) => {
        const want = sizes.map((one) => computeFsVerityDigest(content(one), hash));
        expect(batchDigests(reused, sizes)).toEqual(want);
      }),
      { numRuns: 25 },
    );
  });

  test("is full by count as well, so that empty files cannot wait for ever", () => {
    const want = computeFsVerityDigest(new Uint8Array(0), hash);
    const sizes = Array.from({ length: 1000 }, () => 0);
    expect(batchDigests(new FsVerityBatch(hash), sizes)).toEqual(sizes.map(() => want));
  });

  test("takes other block sizes", () => {
    for (const blockSize of [1024, 65536]) {
      const batch = new FsVerityBatch(hash, { blockSize });
      const sizes = [1, blockSize, blockSize + 1, Math.min(batch.maxFileSize, 300_000)];
      const want = sizes.map((size) => computeFsVerityDigest(content(size), hash, { blockSize }));
      expect(batchDigests(batch, sizes)).toEqual(want);
    }
  });

  test("refuses a file that is too large for it", () => {
    expect(() => new FsVerityBatch(hash).add(maxFileSize + 1)).toThrow(RangeError);
  });
});
