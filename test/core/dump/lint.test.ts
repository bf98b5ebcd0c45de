import { describe, expect, test } from "vitest";
import { lintDump } from "#src/core/mod.ts";
import { needs } from "../../support/needs.ts";
import { dumpVectors, readVector } from "../../support/shared.ts";

const ROOT = "/ 0 40755 2 0 0 0 0.0 - - -\n";
const DIGEST = "5a".repeat(32);

function lint(text: string): string[] {
  return lintDump(Buffer.from(text, "latin1")).map(
    ({ severity, line, field, reason }) => `${line} ${severity} ${field}: ${reason}`,
  );
}

describe("lintDump", () => {
  test("finds nothing in a good dump", () => {
    expect(lint(`${ROOT}/f 100 100644 1 0 0 0 0.0 5a/${"5a".repeat(31)} - ${DIGEST}\n`)).toEqual(
      [],
    );
  });

  test("finds all mistakes, not just the first, in order of their lines", () => {
    const text =
      `${ROOT}/a x 100644 1 0 0 0 0.0 - - -\n` +
      `/b 0 644 1 0 0 0 0.0 - - -\n` +
      `/c 5 100644 1 0 0 0 0.0 - - -\n` +
      `/d 5 100644 2 0 0 0 0.0 x - ${DIGEST}\n` +
      `/e 2 100644 1 0 0 0 0.0 - \\x00\\x00 -`;
    expect(lint(text)).toEqual([
      "2 error size: Invalid integer x",
      "3 error mode: Invalid mode 644",
      "4 warning payload: File of 5 bytes without content, payload or digest: it will read as zeros",
      "5 warning payload: Payload is not the object path of the digest",
      "5 warning nlink: Link count 2, but 1 names in the dump",
      "6 warning content: Content of 2 bytes is all zeros",
      "6 error line: Missing trailing newline",
    ]);
  });

  test("counts the names of a file, links before their target included", () => {
    const link = "/a 0 @100644 - - - - 0.0 /b - -\n";
    expect(lint(`${ROOT}${link}/b 0 100644 2 0 0 0 0.0 - - -\n`)).toEqual([]);
    expect(lint(`${ROOT}${link}/b 0 100644 1 0 0 0 0.0 - - -\n`)).toEqual([
      "3 warning nlink: Link count 1, but 2 names in the dump",
    ]);
  });

  test("reports a gid that C takes as 0", () => {
    expect(lint(`${ROOT}/a 0 100644 1 5 x 0 0.0 - - -\n`)).toEqual([
      "2 error gid: Invalid integer x",
    ]);
  });

  test("warns of an order that is not depth first", () => {
    const line = (path: string): string => `${path} 0 40755 2 0 0 0 0.0 - - -\n`;
    expect(lint(ROOT + line("/a") + line("/a/b") + line("/a-c"))).toEqual([]);
    expect(lint(ROOT + line("/b") + line("/a"))).toEqual([
      "3 warning path: Path /a is out of order",
    ]);
  });

  test("does not blame a line for what a refused line would have given", () => {
    const text = `${ROOT}/d 0 755 2 0 0 0 0.0 - - -\n/a 0 @100644 - - - - 0.0 /d - -\n`;
    expect(lint(text)).toEqual(["2 error mode: Invalid mode 755"]);
  });

  test("stops at the limit", () => {
    expect(lintDump(Buffer.from("\n".repeat(100)), { limit: 7 })).toHaveLength(7);
  });
});

needs("vectors").describe("lintDump, conformance vectors", () => {
  for (const vector of dumpVectors()) {
    const expected = vector.imageSha256 === undefined || !vector.strict;
    test(`finds ${expected ? "an error" : "no error"} in ${vector.name}`, () => {
      const errors = lintDump(readVector(vector)).filter(({ severity }) => severity === "error");
      expect(errors.length > 0, JSON.stringify(errors[0])).toBe(expected);
    });
  }
});
