/** Headers that servers send: challenges, waits, links, ranges, boundaries; whole, odd and hostile. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { parseChallenges } from "#src/sources/registry/auth/challenge.ts";
import { parseContentRange } from "#src/sources/registry/http/content-range.ts";
import { nextLink } from "#src/sources/registry/http/link.ts";
import { BadParts, multipartBoundary, readParts } from "#src/sources/registry/http/multipart.ts";
import { parseRetryAfter } from "#src/sources/registry/http/retry.ts";

const challenges = (header: string): [string, Record<string, string>][] =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

test("parseChallenges: one, several, and odd ones", () => {
  expect(
    challenges(
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:samalba/my-app:pull,push"',
    ),
  ).toEqual([
    [
      "bearer",
      {
        realm: "https://auth.docker.io/token",
        service: "registry.docker.io",
        scope: "repository:samalba/my-app:pull,push",
      },
    ],
  ]);
  expect(challenges('Basic realm="a, b", Bearer realm="c" , x=y')).toEqual([
    ["basic", { realm: "a, b" }],
    ["bearer", { realm: "c", x: "y" }],
  ]);
  expect(challenges("Negotiate, Basic")).toEqual([
    ["negotiate", {}],
    ["basic", {}],
  ]);
  expect(challenges("Negotiate abc==, Basic realm=x")).toEqual([
    ["negotiate", {}],
    ["basic", { realm: "x" }],
  ]);
  expect(challenges('Basic realm="a\\"b\\\\c"')).toEqual([["basic", { realm: 'a"b\\c' }]]);
  expect(challenges('BASIC Realm = "x" , , realm="y"')).toEqual([["basic", { realm: "x" }]]);
  expect(challenges('Basic realm="no end')).toEqual([["basic", {}]]);
  expect(challenges("")).toEqual([]);
  expect(challenges(",,")).toEqual([]);
  expect(challenges('"x"')).toEqual([]);
});

test("parseChallenges: any header is read in no time", () => {
  const noise = fc.string({ unit: fc.constantFrom(...'ab =,"\\\t~é'.split("")), maxLength: 300 });
  fc.assert(
    fc.property(noise, (header) => void challenges(header)),
    { numRuns: 2000 },
  );
  for (const header of ["a ".repeat(50_000), "a=".repeat(50_000), '"'.repeat(100_000)]) {
    expect(challenges(header).length).toBeLessThanOrEqual(16);
  }
});

test("parseRetryAfter: seconds and dates", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  const cases: readonly (readonly [string | undefined, number | undefined])[] = [
    ["0", 0],
    [" 120 ", 120_000],
    ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
    ["Thursday, 01-Jan-26 00:01:00 GMT", 60_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    [undefined, undefined],
    ["", undefined],
    ["-1", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["Xyz, later", undefined],
    ["9999999999", undefined],
  ];
  for (const [value, expected] of cases) {
    expect([value, parseRetryAfter(value, now)]).toEqual([value, expected]);
  }
});

test("nextLink: where a list goes on", () => {
  expect(nextLink('</v2/a?n=1>; rel="next"')).toBe("/v2/a?n=1");
  expect(nextLink("<b>;rel=next")).toBe("b");
  expect(nextLink('<a>; rel="prev", <b>; title="x, y"; rel="last next"')).toBe("b");
  expect(nextLink(['<a>; rel="prev"', "<c>; rel=next"])).toBe("c");
  expect(nextLink('<a>; rel="nextish"')).toBeUndefined();
  expect(nextLink("<a>; rel=nexts")).toBeUndefined();
  expect(nextLink("a; rel=next")).toBeUndefined();
  expect(nextLink(undefined)).toBeUndefined();
  expect(nextLink("<".repeat(100_000))).toBeUndefined();
});

test("parseContentRange: a part that can be", () => {
  expect(parseContentRange("bytes 0-9/10")).toEqual({ offset: 0, length: 10, total: 10 });
  expect(parseContentRange("Bytes 5-5/*")).toEqual({ offset: 5, length: 1, total: undefined });
  for (const value of [
    "bytes 9-0/10",
    "bytes 0-10/10",
    "bytes */10",
    "items 0-9/10",
    "bytes 0-9",
    "bytes 0-99999999999999999/*",
    "bytes -1-2/3",
    "",
    undefined,
  ]) {
    expect([value, parseContentRange(value)]).toEqual([value, undefined]);
  }
});

test("multipartBoundary: quoted or not", () => {
  expect(multipartBoundary("multipart/byteranges; boundary=abc")).toBe("abc");
  expect(multipartBoundary('Multipart/ByteRanges; charset=x; boundary="a b;c"')).toBe("a b;c");
  expect(multipartBoundary("multipart/mixed; boundary=abc")).toBeUndefined();
  expect(multipartBoundary("multipart/byteranges")).toBeUndefined();
  expect(multipartBoundary(undefined)).toBeUndefined();
});

/** The content of parts, with their places. */
async function parts(body: Uint8Array, step: number): Promise<[number, string][]> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < body.length; at += step) yield body.subarray(at, at + step);
    await Promise.resolve();
  }
  const found: [number, string][] = [];
  for await (const { offset, bytes } of readParts(pieces(), "B")) {
    const last = found.at(-1);
    const text = Buffer.from(bytes).toString("latin1");
    if (last !== undefined && last[0] + last[1].length === offset) last[1] += text;
    else found.push([offset, text]);
  }
  return found;
}

const BODY = Buffer.from(
  "preamble\r\n--B\r\nContent-Type: x/y\r\nContent-Range: bytes 0-4/100\r\n\r\n--B\r\n" +
    "\r\n--B  \r\ncontent-range:bytes 50-52/*\r\nX: y\r\n\r\n\r\n-\r\n--B--\r\nepilogue",
  "latin1",
);

test("readParts: parts whose content looks like a boundary, however they arrive", async () => {
  for (const step of [1, 2, 3, 7, 50, 1000]) {
    expect(await parts(BODY, step)).toEqual([
      [0, "--B\r\n"],
      [50, "\r\n-"],
    ]);
  }
});

test("readParts: cut and damaged bodies are parts or an error, in no time", async () => {
  for (let at = 0; at < BODY.length; at++) {
    for (const bytes of [BODY.subarray(0, at), flipped(at)]) {
      try {
        await parts(bytes, 16);
      } catch (error) {
        expect(error).toBeInstanceOf(BadParts);
      }
    }
  }
});

function flipped(at: number): Buffer {
  const bytes = Buffer.from(BODY);
  bytes[at]! ^= 0x11;
  return bytes;
}
