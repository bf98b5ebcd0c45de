import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffTrees, formatDump, parseDump } from "#src/core/mod.ts";
import { randomTree } from "../../support/random-tree.ts";

const ROOT = "/ 0 40755 2 0 0 0 0.0 - - -\n";

function diff(before: string, after: string): string[] {
  const parse = (text: string): ReturnType<typeof parseDump> => parseDump(Buffer.from(ROOT + text));
  return [...diffTrees(parse(before), parse(after))].map((difference) =>
    difference.change === "changed"
      ? `${difference.path} ${difference.aspects.join(" ")}`
      : `${difference.path} ${difference.change}`,
  );
}

describe("diffTrees", () => {
  test.each<[what: string, before: string, after: string, expected: string[]]>([
    ["an added file", "", "/a 0 100644 1 0 0 0 0.0 - - -\n", ["/a added"]],
    [
      "a removed directory with what is in it",
      "/d 0 40755 2 0 0 0 0.0 - - -\n/d/a 0 100644 1 0 0 0 0.0 - - -\n",
      "",
      ["/d removed", "/d/a removed"],
    ],
    [
      "mode, owner, time and xattrs",
      "/a 0 100644 1 0 0 0 0.0 - - -\n",
      "/a 0 100755 1 1 0 0 0.1 - - - user.a=b\n",
      ["/a mode owner mtime xattrs"],
    ],
    [
      "content",
      "/a 1 100644 1 0 0 0 0.0 - x -\n",
      "/a 1 100644 1 0 0 0 0.0 - y -\n",
      ["/a content"],
    ],
    [
      "a digest",
      `/a 9 100644 1 0 0 0 0.0 p - ${"00".repeat(32)}\n`,
      `/a 9 100644 1 0 0 0 0.0 p - ${"01".repeat(32)}\n`,
      ["/a content"],
    ],
    [
      "a symlink's target",
      "/a 1 120777 1 0 0 0 0.0 x - -\n",
      "/a 1 120777 1 0 0 0 0.0 y - -\n",
      ["/a target"],
    ],
    [
      "a device number",
      "/a 0 20644 1 0 0 1 0.0 - - -\n",
      "/a 0 20644 1 0 0 2 0.0 - - -\n",
      ["/a device"],
    ],
    [
      "a file that became a directory",
      "/a 0 100755 1 0 0 0 0.0 - - -\n",
      "/a 0 40755 2 0 0 0 0.0 - - -\n/a/b 0 10644 1 0 0 0 0.0 - - -\n",
      ["/a kind", "/a/b added"],
    ],
    [
      "a copy that became a hard link",
      "/a 0 100644 1 0 0 0 0.0 - - -\n/b 0 100644 1 0 0 0 0.0 - - -\n",
      "/a 0 100644 1 0 0 0 0.0 - - -\n/b 0 @100644 - - - - 0.0 /a - -\n",
      ["/b link"],
    ],
  ])("tells %s", (_what, before, after, expected) => {
    expect(diff(before, after)).toEqual(expected);
  });

  test("finds nothing between a tree and its own dump", () => {
    fc.assert(
      fc.property(randomTree, (root) => {
        const again = parseDump(Buffer.from([...formatDump(root)].join("")));
        expect([...diffTrees(root, again)]).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});
