import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseFsVerityDigest } from "#src/core/mod.ts";
import { DigestClaims } from "#src/store/objects/claims.ts";

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
