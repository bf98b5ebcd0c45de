/** Random layer stacks, merged in two ways, and by composefs-rs itself where it is at hand. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ComposefsError,
  canonicalizeRootfs,
  formatDump,
  parseDump,
  validateTree,
} from "#src/core/mod.ts";
import type { FormatVersion, FsVerityAlgorithm } from "#src/core/mod.ts";
import { PeerImage, cfsctlMissing } from "../../support/cfsctl.ts";
import { randomArchives, randomStack } from "../../support/layer-model.ts";
import type { ModelStack } from "../../support/layer-model.ts";
import { imageDigest, mergeArchives } from "../../support/layers.ts";
import { needsThat } from "../../support/needs.ts";

const RUNS = Number(process.env["COMPOSEFS_PROPERTY_RUNS"] ?? 300);
const peer = needsThat(cfsctlMissing);

/** `/usr` may have been hidden, or replaced by a file: then there is no canonical tree. */
const withUsr = randomStack.filter(({ dump }) => dump("sha256") !== "");

function dumpOf(archives: readonly Buffer[], algorithm: FsVerityAlgorithm): string {
  const tree = canonicalizeRootfs(mergeArchives(archives, {}, algorithm));
  return [...formatDump(tree)].join("");
}

const modelDump = ({ dump }: ModelStack, algorithm: FsVerityAlgorithm): string =>
  [...formatDump(parseDump(Buffer.from(dump(algorithm), "latin1")))].join("");

describe("mergeLayers", () => {
  test("gives what applying each layer entry by entry gives", () => {
    fc.assert(
      fc.property(withUsr, (stack) => {
        const archives = stack.layers.map(({ archive }) => archive);
        expect(dumpOf(archives, "sha256")).toBe(modelDump(stack, "sha256"));
      }),
      { numRuns: RUNS },
    );
  });

  test("gives the same when the whiteouts come last in their layers", () => {
    fc.assert(
      fc.property(withUsr, (stack) => {
        const archives = stack.layers.map(({ shuffled }) => shuffled);
        expect(dumpOf(archives, "sha256")).toBe(modelDump(stack, "sha256"));
      }),
      { numRuns: RUNS },
    );
  });

  test("makes one image whichever way the layers were merged", () => {
    fc.assert(
      fc.property(
        withUsr,
        fc.constantFrom<FormatVersion>(0, 1, 2),
        fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512"),
        (stack, version, algorithm) => {
          const archives = stack.layers.map(({ archive }) => archive);
          const tree = canonicalizeRootfs(mergeArchives(archives, {}, algorithm));
          const model = parseDump(Buffer.from(stack.dump(algorithm), "latin1"));
          expect(imageDigest(tree, version, algorithm)).toBe(
            imageDigest(model, version, algorithm),
          );
        },
      ),
      { numRuns: RUNS / 3 },
    );
  });

  test("gives a valid tree or its own error for layers without sense", () => {
    let merged = 0;
    fc.assert(
      fc.property(
        randomArchives,
        fc.constantFrom("error" as const, "replace" as const),
        (archives, kindChanges) => {
          try {
            validateTree(mergeArchives(archives, { kindChanges }));
            merged++;
          } catch (error) {
            expect(error).toBeInstanceOf(ComposefsError);
            expect((error as ComposefsError).code).toBe("invalid-layer");
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(merged).toBeGreaterThan(0);
  });
});

peer.describe("mergeLayers, canonicalizeRootfs and writeImage", () => {
  test("make the images that composefs-rs makes", () => {
    fc.assert(
      fc.property(
        withUsr.filter(({ hasOddRun }) => !hasOddRun),
        fc.constantFrom<FormatVersion>(1, 2),
        fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512"),
        fc.boolean(),
        (stack, version, algorithm, keepUserXattrs) => {
          const archives = stack.layers.map(({ archive }) => archive);
          const image = new PeerImage(archives, version, algorithm);
          expect(image.refusal).toBe("");
          const tree = canonicalizeRootfs(mergeArchives(archives, {}, algorithm), {
            keepUserXattrs,
          });
          const args = keepUserXattrs ? ["--xattrs=keep-user-xattrs"] : [];
          expect(imageDigest(tree, version, algorithm)).toBe(image.digest(...args));
        },
      ),
      { numRuns: RUNS / 10 },
    );
  }, 120_000);
});
