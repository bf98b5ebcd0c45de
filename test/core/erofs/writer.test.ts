import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  byteString,
  chooseFormatVersion,
  computeFsVerityDigest,
  formatDump,
  isWhiteout,
  parseDump,
  validateTree,
  walkTree,
  writeImage,
} from "#src/core/mod.ts";
import type { Directory, FormatVersion } from "#src/core/mod.ts";
import { nodeHash } from "../../support/hash.ts";
import { needs } from "../../support/needs.ts";
import { oracle } from "../../support/oracle.ts";
import { randomTree } from "../../support/random-tree.ts";
import { dumpVectors, readVector } from "../../support/shared.ts";

const RUNS = Number(process.env["COMPOSEFS_PROPERTY_RUNS"] ?? 300);

function imageOf(dump: string | Uint8Array, version: FormatVersion): Uint8Array {
  return writeImage(validateTree(parseDump(Buffer.from(dump))), { version });
}

const EMPTY = "/ 0 40755 2 0 0 0 0.0 - - -\n";
const SIMPLE = `${EMPTY}/blkdev 0 60000 1 0 0 123 0.0 - - -
/chrdev 0 20000 1 0 0 123 0.0 - - -
/fifo 0 10000 1 0 0 0 0.0 - - -
/regular-external 1234 100000 1 0 0 0 0.0 5a/${"5a".repeat(31)} - ${"5a".repeat(32)}
/regular-inline 4 100000 1 0 0 0 0.0 - hihi -
/socket 0 140000 1 0 0 0 0.0 - - -
/symlink 7 120000 1 0 0 0 0.0 /target - -
`;
const LAYER = `/ 0 40755 3 0 0 0 1234567890.0 - - -
/hello-link.txt 22 100644 2 0 0 0 1234567890.0 - hello\\x20from\\x20test\\x20layer\\n -
/hello.txt 0 @120000 - - - - 0.0 /hello-link.txt - -
/usr 0 40755 2 0 0 0 1234567890.0 - - -
`;

describe("writeImage", () => {
  test.each<FormatVersion>([0, 1, 2])("what it says is made stays as it is, V%i", (version) => {
    // Names that fill several blocks, content behind inodes and in blocks: parts of each kind.
    const files = Array.from({ length: 6000 }, (_, i) => {
      const content = "x".repeat(1500 + (i % 400));
      return `/${String(i).padStart(200, "n")} ${content.length} 100644 1 0 0 0 ${i}.0 - ${content} -\n`;
    });
    const tree = validateTree(parseDump(Buffer.from(EMPTY + files.join(""))));
    const made: Buffer[] = [];
    const ends = [0];
    const image = writeImage(tree, {
      version,
      onMade: (bytes, end) => {
        made.push(Buffer.from(bytes.subarray(ends.at(-1), end)));
        ends.push(end);
      },
    });
    expect(made.length).toBeGreaterThan(1);
    expect(Buffer.concat(made).equals(image.subarray(0, ends.at(-1)))).toBe(true);
  });

  test.each<[name: string, dump: string, version: FormatVersion, digest: string]>([
    ["empty", EMPTY, 0, "8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682"],
    ["simple", SIMPLE, 0, "9f3f5620ee0c54708516467d0d58741e7963047c7106b245d94c298259d0fa01"],
    ["empty", EMPTY, 1, "14a26c957c84f6eb774b91205476adc13196c7c33b9dd97d08d43725ecb90b63"],
    ["simple", SIMPLE, 1, "ad6db6427568a1e4fdc772cbab7b6063f5eb4b33cb62982a740ba9213e5962b5"],
    ["empty", EMPTY, 2, "086b702a519b57d6ef5aea6f8b3f2be24355cd1fb835cd80fb4e3d388b24d5a5"],
    ["simple", SIMPLE, 2, "a8fcd41f8b313bede69f462f2af0a38d64b99a6333f5df884ea9ab4037fac722"],
    ["layer", LAYER, 1, "ca4c0cedfe7cf4e19090b65126e5b2ccc2e7fb4eef2af2a1bcdebe7488d5790b"],
  ])("gives the published digest of the %s tree, V%i", (_name, dump, version, digest) => {
    const found = computeFsVerityDigest(imageOf(dump, version), nodeHash("sha256"));
    expect(found).toBe(digest);
  });

  test.each<[version: FormatVersion, digest: string]>([
    [
      1,
      "d06f1f6a73f62ed48e05ce9442ff045cdf2a9f5ba1ec623795de3d6177a253d91076459795d94f55d8c3d71dab458bb3fc0071255a50c0a4896d86ffdc870b9a",
    ],
    [
      2,
      "f7684c21050615c02cec250e0c7d4118fb0ff6340af5039e06f2f372a7614fff25dfd38cf7f28ad67d8b86e86371b7deafa9ae4bf543630322aee6196417de92",
    ],
  ])("gives the published sha512 digest of the layer tree, V%i", (version, digest) => {
    expect(computeFsVerityDigest(imageOf(LAYER, version), nodeHash("sha512"))).toBe(digest);
  });

  test("writes the same bytes for the same tree in another order of insertion", () => {
    const lines = SIMPLE.trimEnd().split("\n");
    const reversed = [lines[0], ...lines.slice(1).toReversed()].join("\n");
    expect(imageOf(reversed, 1)).toEqual(imageOf(SIMPLE, 1));
  });

  test("refuses in V2 what V2 cannot hold", () => {
    const dump = `${EMPTY}/f 4096 100644 1 0 0 0 0.0 - ${"a".repeat(4096)} -\n`;
    expect(() => imageOf(dump, 2)).toThrow("does not fit format version 2");
    expect(imageOf(dump, 1).length).toBeGreaterThan(0);
  });
});

needs("vectors").describe("writeImage, conformance vectors", () => {
  for (const vector of dumpVectors()) {
    if (vector.imageSha256 === undefined) {
      test(`refuses ${vector.name}`, () => {
        expect(() => validateTree(parseDump(readVector(vector)))).toThrow(/^Cannot /);
      });
      continue;
    }
    test(`gives the bytes of C for ${vector.name}`, () => {
      const root = parseDump(readVector(vector), { strict: vector.strict });
      const range = vector.version as 0 | 1 | undefined;
      const version = chooseFormatVersion(validateTree(root), {
        minVersion: range ?? 0,
        maxVersion: range ?? 1,
      });
      const image = writeImage(validateTree(root), { version });
      expect(createHash("sha256").update(image).digest("hex")).toBe(vector.imageSha256);
    });
  }
});

describe("chooseFormatVersion", () => {
  const plain = parseDump(Buffer.from(EMPTY));
  const whiteout = parseDump(Buffer.from(`${EMPTY}/w 0 20644 1 0 0 0 0.0 - - -\n`));

  test.each<[name: string, root: Directory, min: 0 | 1, max: 0 | 1, version: 0 | 1]>([
    ["V0 for a plain tree", plain, 0, 1, 0],
    ["V1 for a tree with a whiteout", whiteout, 0, 1, 1],
    ["V0 for a tree with a whiteout where V1 is not allowed", whiteout, 0, 0, 0],
    ["V1 where V0 is not allowed", plain, 1, 1, 1],
    ["the minimum where the maximum is below it", plain, 1, 0, 1],
  ])("chooses %s", (_name, root, minVersion, maxVersion, version) => {
    expect(chooseFormatVersion(validateTree(root), { minVersion, maxVersion })).toBe(version);
  });
});

needs("oracle").describe("writeImage against C mkcomposefs", () => {
  test.each<[mode: string, args: string[], min: 0 | 1, max: 0 | 1]>([
    ["V0", ["--min-version=0", "--max-version=0"], 0, 0],
    ["V1", ["--min-version=1", "--max-version=1"], 1, 1],
    ["default", [], 0, 1],
  ])(
    "gives the same bytes for random trees, %s",
    (_mode, args, minVersion, maxVersion) => {
      fc.assert(
        fc.property(randomTree, (root) => {
          fc.pre(!replacesOverlayXattr(root));
          const expected = oracle.imageOfDump([...formatDump(root)].join(""), args);
          const version = chooseFormatVersion(validateTree(root), { minVersion, maxVersion });
          const image = Buffer.from(writeImage(validateTree(root), { version }));
          expect(image.equals(expected), firstDifference(image, expected)).toBe(true);
        }),
        { numRuns: RUNS },
      );
    },
    300_000,
  );
});

/**
 * C 1.0.8 keeps no count of xattr bytes in the copy that it rewrites, so replacing an xattr there makes
 * the count negative and the tree is refused as too large (ERANGE). We write such trees.
 */
function replacesOverlayXattr(root: Directory): boolean {
  const names = ["whiteout", "whiteouts", "opaque"].flatMap((name) =>
    ["user", "trusted"].map((prefix) => byteString(`${prefix}.overlay.${name}`)),
  );
  for (const { node } of walkTree(root)) {
    const isRewritten =
      isWhiteout(node) ||
      (node.kind === "directory" && [...node.entries.values()].some((entry) => isWhiteout(entry)));
    if (isRewritten && "stat" in node && names.some((name) => node.stat.xattrs.has(name)))
      return true;
  }
  return false;
}

function firstDifference(ours: Uint8Array, theirs: Uint8Array): string {
  const at = ours.findIndex((byte, i) => byte !== theirs[i]);
  return `${ours.length} bytes, C ${theirs.length}; first difference at ${at}`;
}
