import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteString, objectPath } from "#src/core/mod.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "#src/core/mod.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import type { Repository } from "#src/store/mod.ts";
import { newRepository, problemsOfObjects } from "../../store/support.ts";
import { tempDir } from "../../support/temp.ts";
import { noise } from "./support.ts";

const SIZES = [65, 4096, 300_000, 600_000, (1 << 23) + 12_345];

function tree(): string {
  const dir = tempDir();
  mkdirSync(join(dir, "below"));
  for (const size of SIZES) writeFileSync(join(dir, `below/${size}`), noise(size, size));
  return dir;
}

async function scan(repository: Repository, dir: string) {
  const transaction = repository.begin();
  const result = await scanDirectory(byteString(dir), { objects: transaction.objects.config });
  transaction.close();
  return result;
}

function digestsOf({ root }: Awaited<ReturnType<typeof scan>>): FsVerityDigest[] {
  const below = root.entries.get(byteString("below"));
  if (below?.kind !== "directory") throw new Error("no directory");
  return [...below.entries.values()].map((node) => {
    const digest =
      node.kind === "file" && node.content.kind === "external" ? node.content.digest : undefined;
    if (digest === undefined) throw new Error("not an external file");
    return digest;
  });
}

describe.each<FsVerityAlgorithm>(["sha256", "sha512"])(
  "scanDirectory into %s objects",
  (algorithm) => {
    test("stores what the repository lacks, by its own digests", async () => {
      const repository = newRepository(algorithm);
      const dir = tree();
      const first = await scan(repository, dir);
      expect(first.counts).toMatchObject({ objects: SIZES.length, newObjects: SIZES.length });
      const again = await scan(repository, dir);
      expect(again.counts).toMatchObject({ objects: SIZES.length, newObjects: 0 });
      for (const digest of digestsOf(again)) expect(repository.hasObject(digest)).toBe(true);
      expect(problemsOfObjects(repository.path, algorithm)).toEqual([]);
      repository.close();
    });

    test("replaces an object that has another size than its name says", async () => {
      const repository = newRepository(algorithm);
      const dir = tree();
      for (const digest of digestsOf(await scan(repository, dir))) {
        truncateSync(join(repository.path, "objects", objectPath(digest)), 10);
        expect((await scan(repository, dir)).counts.newObjects).toBe(1);
      }
      expect(problemsOfObjects(repository.path, algorithm)).toEqual([]);
      repository.close();
    });
  },
);
