import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseFsVerityDigest } from "#src/core/mod.ts";
import { DigestClaims } from "#src/sources/directory/claims.ts";
import { limitsFor } from "#src/sources/directory/open-files.ts";

test("DigestClaims: a digest is claimed once, whoever asks", () => {
  // Few first words, so that chains of the table get long.
  const digest = fc
    .tuple(fc.constantFrom("00000000", "ffffffff", "001fffff"), fc.integer({ min: 0, max: 300 }))
    .map(([first, rest]) => parseFsVerityDigest(first + rest.toString(16).padStart(56, "0")));
  fc.assert(
    fc.property(fc.array(digest, { maxLength: 400 }), (digests) => {
      const one = new DigestClaims();
      const other = new DigestClaims(one.memory);
      const seen = new Set<string>();
      for (const [index, each] of digests.entries()) {
        expect((index % 2 === 0 ? one : other).claim(each)).toBe(!seen.has(each));
        seen.add(each);
      }
    }),
    { numRuns: 10 },
  );
});

test("limitsFor: what may be open at a time stays below the limit", () => {
  for (const openFiles of [64, 256, 1024, 4096, 20_000, 1_048_576, Infinity]) {
    for (const threads of [1, 2, 8, 64]) {
      const { batchEntries, batches, groupObjects } = limitsFor(threads, openFiles);
      expect(batchEntries).toBeGreaterThan(0);
      expect(groupObjects).toBeGreaterThan(0);
      if (openFiles < 8 * threads * 6) continue;
      expect(batchEntries * batches + 2 * groupObjects).toBeLessThanOrEqual(openFiles * 0.75);
    }
  }
});
