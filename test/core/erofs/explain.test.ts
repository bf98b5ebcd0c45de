import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memorySource, validateTree, writeImage } from "#src/core/mod.ts";
import { explainImage, formatExplained } from "#src/core/erofs/explain.ts";
import type { ExplainedField } from "#src/core/erofs/explain.ts";
import { randomTree } from "../../support/random-tree.ts";
import { imageOfDump, patched, sampleImage } from "./sample.ts";

const VERSIONS = [0, 1, 2] as const;

function explain(image: Uint8Array): ExplainedField[] {
  return [...explainImage(memorySource(image))];
}

/** Whether the fields cover the file without gap and overlap. */
function expectTiles(fields: readonly ExplainedField[], size: number): void {
  let position = 0;
  for (const { offset, length } of fields) {
    if (offset !== position || length < 1) expect({ offset, length }).toEqual({ offset: position });
    position += length;
  }
  expect(position).toBe(size);
}

describe("explainImage", () => {
  test.each(VERSIONS)(
    "names every byte of the V%i sample once, none of them unreferenced",
    (version) => {
      const image = sampleImage(version);
      const fields = explain(image);
      expectTiles(fields, image.length);
      expect(fields.filter(({ structure }) => structure === "unreferenced")).toEqual([]);
      expect(fields.filter(({ problem }) => problem !== undefined)).toEqual([]);
    },
  );

  test.each(VERSIONS)(
    "names every byte of random trees in V%i",
    (version) => {
      fc.assert(
        fc.property(randomTree, (tree) => {
          let image: Uint8Array;
          try {
            image = writeImage(validateTree(tree), { version });
          } catch {
            return; // Some trees do not fit V2.
          }
          const fields = explain(image);
          expectTiles(fields, image.length);
          for (const { structure, problem } of fields) {
            if (structure === "unreferenced" || problem !== undefined) {
              expect({ structure, problem }).toEqual({ structure: "", problem: undefined });
            }
          }
        }),
        { numRuns: 50 },
      );
    },
    120_000,
  );

  test("gives offset, length, structure, field, value and path as plain data", () => {
    const fields = explain(sampleImage(1));
    const find = (structure: string, field: string): ExplainedField | undefined =>
      fields.find((one) => one.structure === structure && one.field === field);
    expect(fields[0]).toEqual({
      offset: 0,
      length: 4,
      structure: "composefs header",
      field: "magic",
      value: "0xd078629a",
    });
    expect(find("super block", "root_nid")).toMatchObject({ offset: 1038, length: 2, value: 36 });
    expect(find("super block", "build_time")).toMatchObject({ value: "-5" });
    expect(
      fields.find(({ path, field }) => path === "/dir/sub/deep/leaf" && field === "target"),
    ).toMatchObject({ length: 3, value: "a/b" });
    expect(
      fields.find(({ path, field }) => path === "/external" && field === "i_format"),
    ).toMatchObject({ value: "0x9 (extended, chunk based)" });
    expect(
      fields.find(({ path, field }) => path === "/n\\xffme with \\x5c" && field === "i_mode"),
    ).toMatchObject({ value: "0100644 (file)" });
    expect(JSON.parse(JSON.stringify(fields))).toEqual(fields);
  });

  test("shows digests, xattrs and holes for what they are", () => {
    const fields = explain(sampleImage(1));
    const values = fields.map(({ value }) => value);
    expect(values).toContain(`sha256 ${"5a".repeat(32)}`);
    expect(values).toContain("0xffffffff (a hole)");
    expect(values).toContain("security.selinux");
    expect(fields.filter(({ structure }) => structure === "shared xattr").length).toBeGreaterThan(
      0,
    );
  });

  test("says where an image is corrupt, and names what it can", () => {
    const good = explain(sampleImage(1));
    const at = good.find(({ path, field }) => path === "/fifo" && field === "i_mode")!.offset;
    const image = patched(sampleImage(1), at + 1, 0);
    const fields = explain(image);
    expectTiles(fields, image.length);
    const problems = fields.filter(({ problem }) => problem !== undefined);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      path: "/fifo",
      field: "i_mode",
      offset: at,
      problem: `Cannot read EROFS image: corrupt at offset ${at}: mode 0244 has no file type`,
    });
    expect(fields.some(({ path }) => path === "/socket")).toBe(true);
  });

  test("explains the start of an image that cannot be opened", () => {
    const truncated = sampleImage(1).subarray(0, 5000);
    const fields = explain(truncated);
    expectTiles(fields, 5000);
    expect(fields.find(({ problem }) => problem !== undefined)).toMatchObject({ field: "blocks" });
    const plain = explain(patched(sampleImage(1), 0, 0));
    expect(plain[0]?.problem).toBe(
      "Cannot read EROFS image: an EROFS image, but not a composefs one",
    );
    expect(explain(sampleImage(1).subarray(0, 1100))).toHaveLength(6);
  });

  test("refuses what is no EROFS image", () => {
    expect(() => explain(new Uint8Array(8192))).toThrow("not an EROFS image");
  });
});

describe("formatExplained", () => {
  test("writes offset, length, field and value below the name of each structure", () => {
    const image = imageOfDump("/ 0 40755 2 0 0 0 0.0 - - - user.k=v\n", 2);
    expect([...formatExplained(explainImage(memorySource(image)))].join("\n")).toMatchSnapshot();
  });

  test("puts the problem behind the field", () => {
    const image = patched(sampleImage(1), 1024 + 14, 3, 0);
    const lines = [...formatExplained(explainImage(memorySource(image)))];
    const at = lines.findIndex((line) => line.includes("root_nid"));
    expect(lines[at + 1]).toBe(
      "  !! Cannot read EROFS image: corrupt at offset 1038: nid 3 is inside the super block",
    );
  });
});
