import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteStringFrom } from "#src/core/mod.ts";
import { formatBase64, parseBase64 } from "#src/core/bytes/base64.ts";
import { decodeUtf8, decodeUtf8Lossy } from "#src/core/bytes/utf8.ts";
import { Crc64Iso } from "#src/core/chunked/crc64.ts";
import { formatRfc3339, parseRfc3339 } from "#src/core/chunked/rfc3339.ts";

describe("base64", () => {
  test("is that of Node, both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
        const text = formatBase64(bytes);
        expect(text).toBe(Buffer.from(bytes).toString("base64"));
        expect(parseBase64(text)).toEqual(bytes);
      }),
    );
  });

  test.each([
    "a",
    "ab",
    "abc",
    "====",
    "a===",
    "ab=c",
    "YQ==YQ==",
    "YQ=\n",
    "YWI*",
    "YW\u0100I",
    "=YWI",
  ])("refuses %j", (text) => expect(parseBase64(text)).toBeUndefined());
});

describe("UTF-8", () => {
  test("is that of Node", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        const bytes = new TextEncoder().encode(text);
        expect(decodeUtf8(bytes)).toBe(text);
        expect(decodeUtf8Lossy(bytes)).toBe(text);
      }),
    );
  });

  test("tells what is none as the platform does", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const byte = fc.constantFrom(
      0x20,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc2,
      0xe0,
      0xe1,
      0xed,
      0xef,
      0xf0,
      0xf1,
      0xf4,
      0xf5,
      0xff,
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 6 }),
        fc.array(byte, { maxLength: 6 }),
        (any, likely) => {
          for (const bytes of [any, Uint8Array.from(likely)]) {
            let expected: string | undefined;
            try {
              expected = strict.decode(bytes);
            } catch {
              expected = undefined;
            }
            expect(decodeUtf8(bytes)).toBe(expected);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("replaces each byte that belongs nowhere", () => {
    expect(decodeUtf8Lossy(Uint8Array.of(0x61, 0xff, 0xe2, 0x82, 0x62))).toBe(
      "a\ufffd\ufffd\ufffdb",
    );
    expect(byteStringFrom(Uint8Array.of(0xff))).toBe("\xff");
  });
});

test("Crc64Iso: has the published check value, in pieces as well", () => {
  const crc = new Crc64Iso();
  crc.update(Buffer.from("1234"));
  crc.update(Buffer.from("56789"));
  expect(Buffer.from(crc.digest()).toString("hex")).toBe("b90956c775a41001");
});

describe("RFC 3339", () => {
  test.each<[string, bigint, number]>([
    ["1970-01-01T00:00:00Z", 0n, 0],
    ["2026-11-28T00:45:43.489342999Z", 1_795_826_743n, 489_342_999],
    ["1969-12-31T23:59:58.5Z", -2n, 500_000_000],
    ["2000-02-29T12:00:00+01:30", 951_820_200n, 0],
    ["2000-02-29T12:00:00-01:30", 951_831_000n, 0],
    ["0000-01-01T00:00:00Z", -62_167_219_200n, 0],
    ["9999-12-31T23:59:59.999999999Z", 253_402_300_799n, 999_999_999],
  ])("reads %s", (text, sec, nsec) => expect(parseRfc3339(text)).toEqual({ sec, nsec }));

  test.each([
    "",
    "now",
    "2026-11-28",
    "2026-02-29T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00.Z",
    "2026-01-01T00:00:00+24:00",
  ])("refuses %j", (text) => expect(parseRfc3339(text)).toBeUndefined());

  test("is that of the platform, both ways", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }),
        fc.nat(999),
        (sec, ms) => {
          const time = { sec: BigInt(sec), nsec: ms * 1_000_000 };
          const text = formatRfc3339(time)!;
          expect(parseRfc3339(text)).toEqual(time);
          expect(Date.parse(text)).toBe(sec * 1000 + ms);
        },
      ),
    );
    expect(formatRfc3339({ sec: 253_402_300_800n, nsec: 0 })).toBeUndefined();
    expect(formatRfc3339({ sec: -62_167_219_201n, nsec: 0 })).toBeUndefined();
  });
});
