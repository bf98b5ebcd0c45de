/** Side by side with cfsctl: the same repository, the same objects removed. */

import { cpSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { FsVerityAlgorithm, FsVerityDigest } from "#src/core/mod.ts";
import { collectGarbage } from "#src/store/gc/mod.ts";
import { cfsctlMissing } from "../../support/cfsctl.ts";
import { needsThat } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";
import { SampleRepository } from "../sample.ts";

const cfsctl = needsThat(cfsctlMissing);

/** What a repository is made of; numbers choose among what is there by then. */
const plan = fc.record({
  algorithm: fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512"),
  objects: fc.integer({ min: 1, max: 12 }),
  images: fc.array(fc.record({ files: fc.array(fc.nat(), { maxLength: 6 }), ref: fc.boolean() }), {
    maxLength: 4,
  }),
  streams: fc.array(
    fc.record({
      objects: fc.array(fc.nat(), { maxLength: 6 }),
      streams: fc.array(fc.nat(), { maxLength: 3 }),
      images: fc.array(fc.nat(), { maxLength: 2 }),
      ref: fc.boolean(),
      root: fc.boolean(),
    }),
    { maxLength: 8 },
  ),
});

type Shape = Omit<typeof plan extends fc.Arbitrary<infer T> ? T : never, "algorithm">;

/**
 * Makes the repository; returns the names that are to be roots. In a sound one the objects of an image
 * are among those of the layers beside it.
 */
function generate(shape: Shape, repository: SampleRepository): string[] {
  const roots: string[] = [];
  const objects = Array.from({ length: shape.objects }, (_, n) => repository.put(`object ${n}`));
  const filesOf = new Map<FsVerityDigest, readonly FsVerityDigest[]>();
  const pick = <T>(from: readonly T[], number: number): T[] =>
    from.length === 0 ? [] : [from[number % from.length]!];
  for (const [n, { files, ref }] of shape.images.entries()) {
    const chosen = [...new Set(files.flatMap((file) => pick(objects, file)))];
    const digest = imageOnce(repository, filesOf, chosen);
    if (ref) repository.ref("images", `image/${n}`, digest);
  }
  const images = [...filesOf.keys()];
  const streams: FsVerityDigest[] = [];
  for (const [n, each] of shape.streams.entries()) {
    const refs = [
      ...each.streams.flatMap((number) => pick(streams, number)),
      ...each.images.flatMap((number) => pick(images, number)),
    ];
    const own = each.objects.flatMap((number) => pick(objects, number));
    const ofImages = refs.flatMap((digest) => filesOf.get(digest) ?? []);
    const stream = repository.stream(`stream-${n}`, {
      objects: [...own, ...ofImages],
      refs: refs.map((digest, index) => [`ref${index}`, digest] as const),
      inline: `${n}`,
    });
    streams.push(stream);
    if (each.ref) repository.ref("streams", `some/name/${n}`, `stream-${n}`);
    if (each.root) roots.push(`stream-${n}`);
  }
  return roots;
}

function imageOnce(
  repository: SampleRepository,
  filesOf: Map<FsVerityDigest, readonly FsVerityDigest[]>,
  files: readonly FsVerityDigest[],
): FsVerityDigest {
  for (const [digest, known] of filesOf) {
    if (known.join() === files.join()) return digest;
  }
  const digest = repository.image(files);
  filesOf.set(digest, files);
  return digest;
}

cfsctl.test(
  "gc: removes what cfsctl removes, objects and names, of random repositories",
  async () => {
    const property = fc.asyncProperty(plan, async ({ algorithm, ...shape }) => {
      const ours = new SampleRepository(algorithm);
      const roots = generate(shape, ours);
      const directory = join(tempDir(), "copy");
      cpSync(ours.directory, directory, { recursive: true, verbatimSymlinks: true });
      const args = [
        "--insecure",
        "--repo",
        directory,
        "gc",
        ...roots.flatMap((root) => ["--root", root]),
      ];
      const done = run(process.env["COMPOSEFS_CFSCTL"]!, args);
      expect(done.stderr).toBe("");
      const removed = await collectGarbage(ours, {
        roots: roots as never[],
        now: Date.now(),
        findMounts: () => ({ images: new Map(), unidentified: [], foreignImages: [] }),
      });
      expect(removed.damage).toEqual([]);
      expect(done.stdout.toString()).toContain(
        `Objects: ${removed.objects.length} removed (${removed.bytes} bytes)`,
      );
      const filesOf = (root: string): string[] =>
        run("find", [".", "-not", "-type", "d"], { cwd: root })
          .stdout.toString()
          .split("\n")
          .sort();
      expect(filesOf(ours.directory)).toEqual(filesOf(directory));
      ours.close();
    });
    await fc.assert(property, { numRuns: 60 });
  },
  120_000,
);
