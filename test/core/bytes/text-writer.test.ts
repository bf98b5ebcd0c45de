import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteString, byteStringFrom } from "#src/core/mod.ts";
import { TextWriter } from "#src/core/bytes/text-writer.ts";

describe("TextWriter", () => {
  test.each([0, 1, 7, 8, 9, 10, 63, 64, 99, 100, 0o100644, 2 ** 31 - 1, 2 ** 31, 2 ** 53 - 1])(
    "integer writes %i as toString does, in both bases",
    (value) => {
      for (const base of [8, 10] as const) {
        const out = new TextWriter();
        out.integer(value, base);
        expect(byteStringFrom(out.take())).toBe(value.toString(base));
      }
    },
  );

  test("grows, and take hands out what was written and starts anew", () => {
    const out = new TextWriter();
    const long = "x".repeat(100_000);
    out.text(long);
    out.text("\xff");
    out.integer(7, 10);
    expect(out.length).toBe(100_002);
    expect(byteStringFrom(out.take())).toBe(`${long}\xff7`);
    out.text("next");
    expect(byteStringFrom(out.take())).toBe("next");
  });

  test("textWhile stops at the first byte that is not plain", () => {
    const plain = new Uint8Array(256).fill(1, 0x61, 0x7b);
    fc.assert(
      fc.property(fc.stringMatching(/^[a-c!]{0,20}$/), (text) => {
        const out = new TextWriter();
        const stop = text.indexOf("!") < 0 ? text.length : text.indexOf("!");
        expect(out.textWhile(byteString(text), 0, plain)).toBe(stop);
        expect(byteStringFrom(out.take())).toBe(text.slice(0, stop));
      }),
    );
  });
});
