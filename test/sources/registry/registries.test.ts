/** registries.conf and its drop-ins: which entry counts, where an image is had, what a short name is. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseImageName, parseImageReference, formatImageReference } from "#src/core/mod.ts";
import type { ShortName } from "#src/core/mod.ts";
import { parseRegistriesFile } from "#src/sources/registry/config/registries-file.ts";
import {
  matchedLength,
  mergeRegistries,
  pullEndpoints,
  pushEndpoint,
  readRegistries,
  resolveShortName,
} from "#src/sources/registry/config/registries.ts";
import type { Registries } from "#src/sources/registry/config/registries.ts";
import { tempDir } from "../../support/temp.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;

const conf = (...texts: string[]): Registries =>
  mergeRegistries(texts.map((text, i) => parseRegistriesFile(text, "test.conf", i > 0)));

/** Where a name is pulled from; `!` behind what may be insecure. */
const places = (registries: Registries, name: string): string[] =>
  pullEndpoints(registries, parseImageReference(name)).map(
    ({ reference, isInsecure }) => formatImageReference(reference) + (isInsecure ? "!" : ""),
  );

const EXAMPLE = `
unqualified-search-registries = ["example.com"]
[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal.example.net/bar/"
[[registry.mirror]]
location = "mirror-0.local/mirror-for-foo"
[[registry.mirror]]
location = "mirror-1.local/mirrors/foo"
insecure = true
[[registry]]
location = "registry.com"
[[registry.mirror]]
location = "mirror.registry.com"
`;

test("pullEndpoints: the example of the manual", () => {
  const registries = conf(EXAMPLE);
  expect(places(registries, "example.com/foo/image:latest")).toEqual([
    "mirror-0.local/mirror-for-foo/image:latest",
    "mirror-1.local/mirrors/foo/image:latest!",
    "internal.example.net/bar/image:latest",
  ]);
  expect(places(registries, "registry.com/image:latest")).toEqual([
    "mirror.registry.com/image:latest",
    "registry.com/image:latest",
  ]);
  expect(places(registries, "example.com/foobar/image")).toEqual(["example.com/foobar/image"]);
  expect(places(registries, `example.com/foo@${DIGEST}`)[2]).toBe(
    `internal.example.net/bar@${DIGEST}`,
  );
});

test("pullEndpoints: mirrors for digests, for tags, for both", () => {
  const registries = conf(`
    [[registry]]
    location = "a.test"
    mirror = [
      { location = "digests.test", pull-from-mirror = "digest-only" },
      { location = "tags.test", pull-from-mirror = "tag-only" },
      { location = "all.test", pull-from-mirror = "all" },
      { location = "both.test" },
    ]
    [[registry]]
    location = "b.test"
    mirror-by-digest-only = true
    mirror = [{ location = "mirror.test" }]
  `);
  expect(places(registries, "a.test/x:y")).toEqual([
    "tags.test/x:y",
    "all.test/x:y",
    "both.test/x:y",
    "a.test/x:y",
  ]);
  expect(places(registries, `a.test/x:y@${DIGEST}`)).toEqual(
    ["digests", "all", "both", "a"].map((host) => `${host}.test/x:y@${DIGEST}`),
  );
  expect(places(registries, "b.test/x:y")).toEqual(["b.test/x:y"]);
  expect(places(registries, `b.test/x@${DIGEST}`)).toHaveLength(2);
});

test("pullEndpoints: the longest prefix counts, wild ones included", () => {
  const registries = conf(`
    [[registry]]
    prefix = "*.example.com"
    insecure = true
    [[registry]]
    prefix = "*.deep.example.com"
    location = "deep.test/all"
    [[registry]]
    location = "docker.io"
    [[registry]]
    prefix = "docker.io/library/debian"
    location = "debian.test/mirror/debian"
    [[registry]]
    prefix = "docker.io/library/debian:13"
    location = "debian.test/thirteen/debian:13"
  `);
  expect(places(registries, "a.example.com/x")).toEqual(["a.example.com/x!"]);
  expect(places(registries, "a.b.example.com:5000/x")).toEqual(["a.b.example.com:5000/x!"]);
  expect(places(registries, "example.com/x")).toEqual(["example.com/x"]);
  expect(places(registries, "badexample.com/x")).toEqual(["badexample.com/x"]);
  expect(places(registries, "a.deep.example.com/x:y")).toEqual(["deep.test/all/x:y"]);
  expect(places(registries, "debian:12")).toEqual(["debian.test/mirror/debian:12"]);
  expect(places(registries, "debian:13")).toEqual(["debian.test/thirteen/debian:13"]);
  expect(places(registries, "debian2")).toEqual(["docker.io/library/debian2"]);
});

test("pullEndpoints and pushEndpoint: what is blocked is refused; pushes go past mirrors", () => {
  const registries = conf(`
    [[registry]]
    location = "bad.test"
    blocked = true
    [[registry]]
    prefix = "a.test/x"
    location = "b.test"
    insecure = true
    mirror = [{ location = "c.test" }]
  `);
  const bad = parseImageReference("bad.test/x");
  const denied = expect.objectContaining({ code: "registry-denied" });
  expect(() => pullEndpoints(registries, bad)).toThrow(denied);
  expect(() => pushEndpoint(registries, bad)).toThrow(denied);
  const reference = parseImageReference("a.test/x/y");
  expect(pushEndpoint(registries, reference)).toEqual({
    reference,
    isInsecure: true,
    isMirror: false,
  });
});

test("matchedLength: a prefix ends where a part does", () => {
  const parts = fc.array(fc.constantFrom("a", "b", "ab", "a.b"), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(parts, parts, (left, right) => {
      const [prefix, text] = [left.join("/"), right.join("/")];
      const isPrefix = left.every((part, i) => right[i] === part);
      expect(matchedLength(text, prefix)).toBe(isPrefix ? prefix.length : undefined);
      expect(matchedLength(`${text}:t`, prefix)).toBe(isPrefix ? prefix.length : undefined);
    }),
  );
});

test("mergeRegistries: drop-ins replace entries, aliases and lists", () => {
  const merged = conf(
    `unqualified-search-registries = ["a.test"]
     credential-helpers = ["x"]
     short-name-mode = "enforcing"
     [[registry]]
     location = "r.test"
     insecure = true
     [aliases]
     one = "a.test/one"
     two = "a.test/two"`,
    `[[registry]]
     location = "r.test"
     [aliases]
     one = "b.test/one"
     two = ""`,
    `unqualified-search-registries = []
     short-name-mode = "disabled"`,
  );
  expect(merged.searched).toEqual([]);
  expect(merged.helpers).toEqual(["x"]);
  expect(merged.shortNameMode).toBe("disabled");
  expect(merged.entries.map(({ isInsecure }) => isInsecure)).toEqual([false]);
  expect(merged.aliases.get("one")).toBe("b.test/one");
  expect(() => resolveShortName(merged, short("two"))).toThrow(/Cannot find image/);
});

const short = (text: string): ShortName => parseImageName(text) as ShortName;
const resolved = (registries: Registries, text: string): string[] =>
  resolveShortName(registries, short(text)).map(formatImageReference);

test("resolveShortName: by alias, else in the registries to search", () => {
  const registries = conf(`
    unqualified-search-registries = ["a.test:5000", "docker.io"]
    [aliases]
    "debian" = "docker.io/library/debian"
    "some/thing" = "quay.io/other/thing"
  `);
  expect(resolved(registries, "debian:13")).toEqual(["docker.io/library/debian:13"]);
  expect(resolved(registries, `some/thing:a@${DIGEST}`)).toEqual([
    `quay.io/other/thing:a@${DIGEST}`,
  ]);
  expect(resolved(registries, "alpine")).toEqual([
    "a.test:5000/alpine",
    "docker.io/library/alpine",
  ]);
  const enforcing = { ...registries, shortNameMode: "enforcing" as const };
  expect(() => resolved(enforcing, "alpine")).toThrow(
    expect.objectContaining({
      code: "invalid-reference",
      hint: expect.stringMatching(/docker\.io/),
    }),
  );
  const one = { ...enforcing, searched: ["a.test"] };
  expect(resolved(one, "alpine")).toEqual(["a.test/alpine"]);
});

test("parseRegistriesFile: reads version 1 as what it means", () => {
  const registries = conf(`
    [registries.search]
    registries = ["a.test", "b.test"]
    [registries.insecure]
    registries = ["b.test", "c.test"]
    [registries.block]
    registries = ["c.test"]
  `);
  expect(registries.searched).toEqual(["a.test", "b.test"]);
  expect(places(registries, "b.test/x")).toEqual(["b.test/x!"]);
  expect(() => places(registries, "c.test/x")).toThrow(/blocks/);
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ["registry = 1", /registry/],
  ["= 3", /test\.conf/],
  ["[[registry]]", /neither prefix nor location/],
  ['[[registry]]\nprefix = "a.test"', /no location/],
  ['[[registry]]\nprefix = "*.a.test/b"', /host alone/],
  ['[[registry]]\nlocation = "http://a.test"', /http:\/\//],
  ['[[registry]]\nlocation = "a.test"\ninsecure = "yes"', /neither true nor false/],
  ['[[registry]]\nlocation = "a.test"\npull-from-mirror = "all"', /only a mirror/],
  [
    '[[registry]]\nlocation = "a.test"\nmirror = [{}]',
    /registry\[0\]\.mirror\[0\] has no location/,
  ],
  [
    '[[registry]]\nlocation = "a.test"\nmirror = [{ location = "b.test", pull-from-mirror = "x" }]',
    /pull-from-mirror "x"/,
  ],
  [
    '[[registry]]\nlocation = "a.test"\nmirror-by-digest-only = true\nmirror = [{ location = "b", pull-from-mirror = "all" }]',
    /mirror-by-digest-only/,
  ],
  [
    '[[registry]]\nprefix = "x.test"\nlocation = "a.test"\n[[registry]]\nlocation = "a.test"\nblocked = true',
    /once one thing/,
  ],
  ['unqualified-search-registries = ["a b"]', /no host/],
  ['unqualified-search-registries = "a"', /list of texts/],
  ['short-name-mode = "x"', /short-name-mode/],
  ['[aliases]\n"a.test/b" = "c.test/d"', /no short name/],
  ['[aliases]\na = "b"', /no full name/],
  ['[aliases]\na = "b.test/c:d"', /no full name/],
  ['unqualified-search-registries = ["a.test"]\n[registries.search]\nregistries = ["b"]', /mixes/],
];

test("parseRegistriesFile: says what is wrong where", () => {
  for (const [text, reason] of WRONG) {
    expect(() => parseRegistriesFile(text, "test.conf", false), text).toThrow(
      expect.objectContaining({ code: "invalid-config", message: expect.stringMatching(reason) }),
    );
  }
  expect(() => parseRegistriesFile("[registries.search]\nregistries = []", "x.conf", true)).toThrow(
    /version 1/,
  );
});

test("parseRegistriesFile: damage is an error of ours", () => {
  fc.assert(
    fc.property(fc.nat(EXAMPLE.length), fc.string({ maxLength: 3 }), (at, noise) => {
      try {
        parseRegistriesFile(EXAMPLE.slice(0, at) + noise + EXAMPLE.slice(at), "test.conf", false);
      } catch (error) {
        expect(error).toMatchObject({ code: "invalid-config" });
      }
    }),
    { numRuns: 500 },
  );
});

/** Writes files below a directory of their own. */
function files(contents: Readonly<Record<string, string>>): string {
  const root = tempDir();
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

test("readRegistries: the system's files, then the user's, unless the user has it all", () => {
  const search = (host: string): string => `unqualified-search-registries = ["${host}"]`;
  const root = files({
    "etc/containers/registries.conf": `${search("system.test")}\n[[registry]]\nlocation = "kept.test"\ninsecure = true`,
    "etc/containers/registries.conf.d/10-a.conf": search("a.test"),
    "etc/containers/registries.conf.d/20-b.conf": search("b.test"),
    "etc/containers/registries.conf.d/30-c.txt": search("c.test"),
    "etc/containers/registries.conf.d/40.conf/x.conf": search("d.test"),
    "home/.config/containers/registries.conf.d/00.conf": search("user.test"),
    "own/.config/containers/registries.conf": search("own.test"),
    "told.conf": search("told.test"),
  });
  const at = (environment: Record<string, string>): Registries =>
    readRegistries({ environment, uid: 1000, etc: join(root, "etc") });
  expect(at({}).searched).toEqual(["b.test"]);
  expect(at({ HOME: join(root, "home") }).searched).toEqual(["user.test"]);
  expect(at({ HOME: join(root, "home") }).entries).toHaveLength(1);
  expect(at({ HOME: join(root, "own") }).searched).toEqual(["own.test"]);
  expect(at({ HOME: join(root, "own") }).entries).toEqual([]);
  const told = at({ CONTAINERS_REGISTRIES_CONF: join(root, "told.conf") });
  expect(told.entries).toEqual([]);
  // Drop-ins still count, as for podman.
  expect(told.searched).toEqual(["b.test"]);
  expect(() => at({ CONTAINERS_REGISTRIES_CONF: join(root, "absent.conf") })).toThrow(
    expect.objectContaining({ code: "invalid-config" }),
  );
  expect(readRegistries({ environment: {}, uid: 1000, etc: join(root, "x") }).helpers).toEqual([
    "containers-auth.json",
  ]);
});

test("readRegistries: aliases that podman noted come before all others", () => {
  const root = files({
    "etc/containers/registries.conf": '[aliases]\na = "one.test/a"\nb = "one.test/b"',
    "home/.cache/containers/short-name-aliases.conf": '[aliases]\n"a" = "two.test/a"',
  });
  const environment = { HOME: join(root, "home") };
  const registries = readRegistries({ environment, uid: 1000, etc: join(root, "etc") });
  expect(resolved(registries, "a")).toEqual(["two.test/a"]);
  expect(resolved(registries, "b")).toEqual(["one.test/b"]);
});

test("readRegistries: says which file cannot be read", () => {
  const root = files({ "etc/containers/registries.conf.d/bad.conf": "=" });
  const at = { environment: {}, uid: 1000, etc: join(root, "etc") };
  expect(() => readRegistries(at)).toThrow(/bad\.conf/);
});
