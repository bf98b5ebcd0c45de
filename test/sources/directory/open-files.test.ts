import { expect, test } from "vitest";
import { limitsFor } from "#src/sources/directory/open-files.ts";

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
