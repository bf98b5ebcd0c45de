import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  byteString,
  byteStringFrom,
  formatDump,
  formatDumpEntries,
  memorySource,
  openImage,
  readTree,
  validateTree,
  walkImage,
  writeImage,
} from "#src/core/mod.ts";
import type { Directory, FormatVersion, ImageEntry } from "#src/core/mod.ts";
import { randomTree } from "../../support/random-tree.ts";
import { imageOfDump, sampleImage } from "./sample.ts";

const VERSIONS = [0, 1, 2] as const;
const RUNS = Number(process.env["COMPOSEFS_PROPERTY_RUNS"] ?? 60);

function walk(bytes: Uint8Array, toplevel?: readonly string[]): ImageEntry[] {
  const image = openImage(memorySource(bytes));
  const options = toplevel === undefined ? {} : { toplevel: new Set(toplevel.map(byteString)) };
  return image.wholly(() => [...walkImage(image, options)]);
}

/** Some trees do not fit V2. */
function imageOfTree(root: Directory, version: FormatVersion): Uint8Array | undefined {
  try {
    return writeImage(validateTree(root), { version });
  } catch {
    return undefined;
  }
}

function dumpOfWalk(bytes: Uint8Array): string {
  return [...formatDumpEntries(walk(bytes))].map((piece) => byteStringFrom(piece)).join("");
}

function dumpOfTree(bytes: Uint8Array): string {
  return [...formatDump(readTree(openImage(memorySource(bytes))))].join("");
}

describe("walkImage", () => {
  test.each(VERSIONS)("gives the dump that the tree of the V%i sample gives", (version) => {
    const image = sampleImage(version);
    expect(dumpOfWalk(image)).toBe(dumpOfTree(image));
  });

  test.each(VERSIONS)("gives the dump that the tree gives, for random trees in V%i", (version) => {
    fc.assert(
      fc.property(randomTree, (root) => {
        const image = imageOfTree(root, version);
        fc.pre(image !== undefined);
        expect(dumpOfWalk(image)).toBe(dumpOfTree(image));
      }),
      { numRuns: RUNS },
    );
  });

  // The count in the inode is what the dump said: 2 is right, 1 says that there is no other name.
  test.each([2, 1])("names the first name of a file with three, link count %i", (nlink) => {
    const image = imageOfDump(
      `/ 0 40755 2 0 0 0 0.0 - - -
/b 3 100644 ${nlink} 0 0 0 0.0 - abc -
/a 3 @100644 1 0 0 0 0.0 /b - -
/dir 0 40755 2 0 0 0 0.0 - - -
/dir/c 3 @100644 1 0 0 0 0.0 /b - -
/other 3 100644 ${nlink} 0 0 0 0.0 - xyz -
/z 3 @100644 1 0 0 0 0.0 /other - -
`,
      0,
    );
    const links = walk(image).map(({ path, linkOf }) => [path, linkOf]);
    expect(links).toEqual([
      ["/", undefined],
      ["/a", undefined],
      ["/b", "/a"],
      ["/dir", undefined],
      ["/dir/c", "/a"],
      ["/other", undefined],
      ["/z", "/other"],
    ]);
    expect(dumpOfWalk(image)).toBe(dumpOfTree(image));
    // Left out, a first name is none: the next one takes its place.
    expect(walk(image, ["b", "dir"]).map(({ path, linkOf }) => [path, linkOf])).toEqual([
      ["/", undefined],
      ["/b", undefined],
      ["/dir", undefined],
      ["/dir/c", "/b"],
    ]);
  });

  test("says how deep each entry stands", () => {
    const depths = walk(sampleImage(1)).map(({ path, depth }) => [path, depth]);
    expect(Object.fromEntries(depths)).toMatchObject({
      "/": 0,
      "/dir": 1,
      "/dir/sub/deep/leaf": 4,
      "/fifo": 1,
    });
  });
});
