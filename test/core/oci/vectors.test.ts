/** The two OCI layouts of composefs-rs's own tests, and the image digests that it pins for them. */

import { expect, test } from "vitest";
import {
  canonicalizeBootableRootfs,
  canonicalizeRootfs,
  formatDump,
  parseDump,
} from "#src/core/mod.ts";
import type { FormatVersion, FsVerityAlgorithm } from "#src/core/mod.ts";
import { imageDigest, mergeArchives } from "../../support/layers.ts";
import { BOOTABLE_LAYER, PLAIN_LAYER } from "../../support/peer-layouts.ts";

type Vector = [FormatVersion, FsVerityAlgorithm, string];

test("mergeLayers and canonicalizeRootfs: the tree of the plain layout", () => {
  const text = [...formatDump(canonicalizeRootfs(mergeArchives([PLAIN_LAYER])))].join("");
  expect(text).toBe(
    [
      ...formatDump(
        parseDump(
          Buffer.from(
            `/ 0 40755 3 0 0 0 1234567890.0 - - -
/hello-link.txt 22 100644 2 0 0 0 1234567890.0 - hello\\x20from\\x20test\\x20layer\\n -
/hello.txt 0 @120000 - - - - 0.0 /hello-link.txt - -
/usr 0 40755 2 0 0 0 1234567890.0 - - -
`,
          ),
        ),
      ),
    ].join(""),
  );
});

test.each<Vector>([
  [
    2,
    "sha512",
    "f7684c21050615c02cec250e0c7d4118fb0ff6340af5039e06f2f372a7614fff25dfd38cf7f28ad67d8b86e86371b7deafa9ae4bf543630322aee6196417de92",
  ],
  [
    1,
    "sha512",
    "d06f1f6a73f62ed48e05ce9442ff045cdf2a9f5ba1ec623795de3d6177a253d91076459795d94f55d8c3d71dab458bb3fc0071255a50c0a4896d86ffdc870b9a",
  ],
  [2, "sha256", "25292507ba4a5baae43630486e299153c8f9e07379ca0a823476d0f9254af97e"],
  [1, "sha256", "ca4c0cedfe7cf4e19090b65126e5b2ccc2e7fb4eef2af2a1bcdebe7488d5790b"],
])(
  "the plain layout as V%i image with %s has the published digest",
  (version, algorithm, digest) => {
    const tree = canonicalizeRootfs(mergeArchives([PLAIN_LAYER], {}, algorithm));
    expect(imageDigest(tree, version, algorithm)).toBe(digest);
  },
);

test.each<Vector>([
  [
    1,
    "sha512",
    "afcf5265d299516bc4f3f34f0f6bae2dc42dd6c24711121141140f39d8cc2b1f3fcf18bb0a5c3f4db21065783f76e920458f93cd81bb09c24cdb6968b4165e89",
  ],
  [
    2,
    "sha512",
    "8dc1c4019e86d6c82d9118fcd3b8d7135901e621404af5c0e73590633a92acf49f584346958738a07001a489b60855fbda0b020caf0410c29ce469f223ea4915",
  ],
  [1, "sha256", "4480027824ab6942243c540db006d144a3004243e137481441bafd6f2828b7a4"],
  [2, "sha256", "199cbb7f62aaace01fe890527b53afc19c2fdbab30f4f0beb1716a46315136d7"],
])(
  "the bootable layout as V%i image with %s has the published digest",
  (version, algorithm, digest) => {
    const rootfs = canonicalizeRootfs(mergeArchives([BOOTABLE_LAYER], {}, algorithm));
    expect(imageDigest(canonicalizeBootableRootfs(rootfs), version, algorithm)).toBe(digest);
  },
);
