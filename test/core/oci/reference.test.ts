/** Names of images: what is one, what it means, and that it comes back as it was. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { formatImageReference, parseImageName, parseImageReference } from "#src/core/mod.ts";

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;
const DIGEST_512 = `sha512:${"0123456789abcdef".repeat(8)}`;

/** Name; registry, repository, tag, digest. */
const NAMES: readonly (readonly [string, string, string, (string | undefined)?, string?])[] = [
  ["debian", "docker.io", "library/debian"],
  ["debian:13", "docker.io", "library/debian", "13"],
  [`debian@${DIGEST}`, "docker.io", "library/debian", undefined, DIGEST],
  [`debian:13@${DIGEST_512}`, "docker.io", "library/debian", "13", DIGEST_512],
  ["someone/thing", "docker.io", "someone/thing"],
  ["docker.io/debian", "docker.io", "library/debian"],
  ["index.docker.io/debian", "docker.io", "library/debian"],
  ["docker.io/library/debian", "docker.io", "library/debian"],
  ["docker.io/a/b", "docker.io", "a/b"],
  ["localhost/a", "localhost", "a"],
  ["localhost:5000/a", "localhost:5000", "a"],
  // Neither dot nor colon: no registry.
  ["local/a", "docker.io", "local/a"],
  // No slash: a tag.
  ["localhost:5000", "docker.io", "library/localhost", "5000"],
  ["quay.io/a/b/c/d", "quay.io", "a/b/c/d"],
  ["Quay.IO/a", "Quay.IO", "a"],
  ["127.0.0.1:5000/a:b", "127.0.0.1:5000", "a", "b"],
  ["[::1]:5000/a", "[::1]:5000", "a"],
  ["[2001:db8::1]/a:b", "[2001:db8::1]", "a", "b"],
  ["[::ffff:127.0.0.1]:80/a", "[::ffff:127.0.0.1]:80", "a"],
  ["a.b/c__d.e-f--g_h", "a.b", "c__d.e-f--g_h"],
  [`a:${"t".repeat(128)}`, "docker.io", "library/a", "t".repeat(128)],
  ["a:_", "docker.io", "library/a", "_"],
  ["xn--bcher-kva.example/a", "xn--bcher-kva.example", "a"],
];

test("parseImageReference: reads names as containers do", () => {
  for (const [text, registry, repository, tag, digest] of NAMES) {
    expect([text, parseImageReference(text)]).toEqual([
      text,
      { registry, repository, tag, digest },
    ]);
  }
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ["", /has no name/],
  [":tag", /has no name/],
  ["a:", /"" is not a tag/],
  ["a:b:c", /"b:c" is not a tag/],
  [`a:${"t".repeat(129)}`, /is not a tag/],
  ["a:.b", /is not a tag/],
  ["a@", /"" is not a sha256 or sha512 digest/],
  ["a@sha256:abc", /digest/],
  [`a@${DIGEST.toUpperCase()}`, /digest/],
  [`a@${DIGEST}@${DIGEST}`, /digest/],
  ["a@md5:0123456789abcdef0123456789abcdef", /digest/],
  ["A", /upper-case/],
  ["a/B", /upper-case/],
  ["quay.io/", /has no name/],
  ["quay.io/a//b", /empty/],
  ["quay.io/a/", /empty/],
  ["/a", /empty/],
  ["a/./b", /is not a part/],
  ["a.b/../c", /is not a part/],
  ["a.b/-c", /is not a part/],
  ["a.b/c___d", /is not a part/],
  ["a.b/c..d", /is not a part/],
  ["a b", /is not a part/],
  ["a\n", /is not a part/],
  ["a\0", /is not a part/],
  ["ä", /is not a part/],
  ["http://a.b/c", /is not a host and port/],
  ["-a.b/c", /is not a host and port/],
  ["a.b:/c", /is not a host and port/],
  ["a.b:0/c", /is not a host and port/],
  ["a.b:65536/c", /is not a host and port/],
  ["a..b/c", /is not a host and port/],
  ["user@a.b/c", /digest/],
  ["[::1/a", /is not a host and port/],
  ["[::g]/a", /is not a host and port/],
  ["0123456789abcdef".repeat(4), /ID of an image/],
  [`a.b/${"c".repeat(252)}`, /longer than 255/],
  ["a".repeat(256), /longer than 255/],
  ["a/".repeat(1000), /too long/],
];

test("parseImageReference: refuses what is no name, and says why", () => {
  for (const [text, reason] of WRONG) {
    expect(() => parseImageReference(text), text).toThrow(
      expect.objectContaining({
        code: "invalid-reference",
        message: expect.stringMatching(reason),
      }),
    );
  }
});

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const part = fc
  .tuple(
    word,
    fc.array(fc.tuple(fc.constantFrom(".", "_", "__", "-", "---"), word), { maxLength: 2 }),
  )
  .map(([first, more]) => first + more.flat().join(""));
const registry = fc.oneof(
  fc.constantFrom(
    "localhost",
    "localhost:5000",
    "quay.io",
    "[::1]",
    "[fe80::1]:8080",
    "a-b.example",
  ),
  fc.tuple(word, fc.integer({ min: 1, max: 65_535 })).map(([host, port]) => `${host}.test:${port}`),
);
const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined });
const digest = fc.option(fc.constantFrom(DIGEST, DIGEST_512), { nil: undefined });
const repository = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

test("formatImageReference: undoes parsing, for full names and short ones", () => {
  fc.assert(
    fc.property(fc.option(registry, { nil: undefined }), repository, tag, digest, (...parts) => {
      const [host, path, label, sum] = parts;
      // A dot in the first of several parts makes a registry of it.
      fc.pre(host !== undefined || !/^[^/]*\.[^/]*\//.test(path));
      const text = `${host === undefined ? "" : `${host}/`}${path}${label === undefined ? "" : `:${label}`}${sum === undefined ? "" : `@${sum}`}`;
      const parsed = parseImageName(text);
      expect(parsed).toEqual({ registry: host, repository: path, tag: label, digest: sum });
      expect(formatImageReference(parsed)).toBe(text);
      const full = parseImageReference(text);
      expect(parseImageReference(formatImageReference(full))).toEqual(full);
    }),
  );
});

test("parseImageName: any text is a name or an error of ours, in no time", () => {
  const noise = fc.string({
    unit: fc.constantFrom(..."ab.:/@_-[]A\0é0".split("")),
    maxLength: 600,
  });
  fc.assert(
    fc.property(noise, (text) => {
      try {
        const parsed = parseImageName(text);
        expect(parseImageName(formatImageReference(parsed))).toEqual(parsed);
      } catch (error) {
        expect(error).toMatchObject({ code: "invalid-reference" });
      }
    }),
    { numRuns: 2000 },
  );
  // Patterns that go back and forth would take for ever.
  for (const text of [
    "a-".repeat(299),
    "a__".repeat(199),
    `${"a.".repeat(290)}/`,
    "-".repeat(599),
  ]) {
    expect(() => parseImageName(text)).toThrow(/Cannot parse/);
  }
});
