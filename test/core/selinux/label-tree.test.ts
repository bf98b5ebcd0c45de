/** Labels of trees, also beside composefs-rs where it is at hand. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canonicalizeBootableRootfs,
  canonicalizeRootfs,
  formatDump,
  labelTree,
} from "#src/core/mod.ts";
import type { Directory, FileContent, FormatVersion, FsVerityAlgorithm } from "#src/core/mod.ts";
import { PeerImage, cfsctlMissing } from "../../support/cfsctl.ts";
import { expectError } from "../../support/expect-error.ts";
import { contentOf, imageDigest, mergeArchives } from "../../support/layers.ts";
import { needsThat } from "../../support/needs.ts";
import {
  debianPolicy,
  debianPolicyMissing,
  debianPolicyObtainable,
  directoryEntry,
  fileEntry,
  hardLinkEntry,
  policyArchive,
} from "../../support/selinux-policy.ts";
import type { PolicyFiles } from "../../support/selinux-policy.ts";
import { archive } from "../../support/tar-bytes.ts";

const noReader = (): Uint8Array => {
  throw new Error("nothing is to be read");
};

/** Gives the content of external files by their digest. */
function readerOf(
  files: readonly (string | Uint8Array)[],
  algorithm: FsVerityAlgorithm,
): (content: FileContent) => Uint8Array {
  const known = files.map((file) => {
    const data = Buffer.from(file);
    return { data, content: contentOf(data, algorithm) };
  });
  return (content) => {
    const found = known.find(
      (each) =>
        each.content.kind === "external" &&
        content.kind === "external" &&
        each.content.digest === content.digest,
    );
    if (found === undefined) throw new Error("no such object");
    return found.data;
  };
}

function labelledTree(
  files: PolicyFiles,
  entries: readonly Uint8Array[],
  algorithm: FsVerityAlgorithm = "sha256",
): Directory {
  const root = mergeArchives([policyArchive(files, ...entries)], {}, algorithm);
  const bootable = canonicalizeBootableRootfs(canonicalizeRootfs(root));
  return labelTree(bootable, readerOf(Object.values(files), algorithm));
}

/** Path, link count and label of everything below `below`. */
function labelsOf(root: Directory, below: string): string[] {
  return [...formatDump(root)]
    .join("")
    .split("\n")
    .filter((line) => line.startsWith(below))
    .map((line) => {
      const fields = line.split(" ");
      const label = /security\.selinux=(\S*)/.exec(line)?.[1];
      return `${fields[0]} ${fields[2]!.startsWith("@") ? `-> ${fields[8]}` : `${fields[3]} ${label}`}`;
    });
}

describe("labelTree", () => {
  const rules = `
/.*             root
/opt(/.*)?      opt
/opt/a/.*   --  a
/opt/b/.*   --  b
/opt/c/.*       <<none>>
`;

  test("splits a file whose names need different labels", () => {
    const entries = [
      ...["opt", "opt/a", "opt/b", "opt/c"].map(directoryEntry),
      fileEntry("opt/a/1", "x"),
      hardLinkEntry("opt/a/2", "opt/a/1"),
      hardLinkEntry("opt/b/1", "opt/a/1"),
      hardLinkEntry("opt/b/2", "opt/a/1"),
      hardLinkEntry("opt/c/1", "opt/a/1"),
      hardLinkEntry("opt/d", "opt/a/1"),
    ];
    expect(labelsOf(labelledTree({ "": rules }, entries), "/opt/")).toEqual([
      "/opt/a 2 opt",
      "/opt/a/1 2 a",
      "/opt/a/2 -> /opt/a/1",
      "/opt/b 2 opt",
      "/opt/b/1 1 b",
      "/opt/b/2 1 b",
      "/opt/c 2 opt",
      "/opt/c/1 1 undefined",
      "/opt/d 1 opt",
    ]);
  });

  test("labels a substituted path, and what is below it, like the other one", () => {
    const files = {
      "": "/.* root\n/usr/lib/.* lib\n/run/lock lock\n/run/lock/.* in-lock\n",
      ".subs": "/srv /run\n/opt /run\n",
      ".subs_dist": "/opt /usr/lib/\n/srv/lock /run/lock\n",
    };
    const entries = [
      ...["opt", "opt/d", "srv", "srv/lock"].map(directoryEntry),
      fileEntry("opt/f"),
      fileEntry("opt/d/f"),
      fileEntry("srv/lock/f"),
    ];
    const tree = labelledTree(files, entries);
    expect(labelsOf(tree, "/opt")).toEqual([
      "/opt 3 lib",
      "/opt/d 2 lib",
      "/opt/d/f 1 lib",
      "/opt/f 1 lib",
    ]);
    // Below /srv, paths begin with /run: the substitution of /srv/lock is for another path.
    expect(labelsOf(tree, "/srv")).toEqual([
      "/srv 3 root",
      "/srv/lock 2 lock",
      "/srv/lock/f 1 in-lock",
    ]);
  });

  test("the last of .local and .homedirs counts", () => {
    const files = { "": "/.* a\n", ".homedirs": "/opt c\n", ".local": "/opt b\n/srv b\n" };
    const tree = labelledTree(files, [directoryEntry("opt"), directoryEntry("srv")]);
    expect(labelsOf(tree, "/opt")).toEqual(["/opt 2 c"]);
    expect(labelsOf(tree, "/srv")).toEqual(["/srv 2 b"]);
    expect(labelsOf(tree, "/ ")).toEqual([expect.stringMatching(/^\/ \d+ a$/)]);
  });

  test.each([
    ["no /etc", []],
    ["no configuration", [directoryEntry("etc"), directoryEntry("etc/selinux")]],
    [
      "a configuration that names no policy",
      [
        directoryEntry("etc"),
        directoryEntry("etc/selinux"),
        fileEntry("etc/selinux/config", "a=b"),
      ],
    ],
  ])("%s: takes labels away", (_, entries) => {
    const root = mergeArchives([archive(...entries, fileEntry("f"))]);
    const leaf = root.entries.get("f" as never)!;
    const stale = new Map([["security.selinux", Buffer.from("old")]]) as never;
    const tree: Directory = {
      ...root,
      entries: new Map([
        ...root.entries,
        ["f", { ...leaf, stat: { ...(leaf as Directory).stat, xattrs: stale } }],
      ] as never),
    };
    expect([...formatDump(tree)].join("")).toContain("security.selinux");
    expect([...formatDump(labelTree(tree, noReader))].join("")).not.toContain("selinux=");
  });

  test.each<[string, Uint8Array[], RegExp]>([
    [
      "the policy is not there",
      [fileEntry("etc/selinux/config", "SELINUXTYPE=x")],
      /x\/contexts\/files": not there/,
    ],
    ["the name leads out", [fileEntry("etc/selinux/config", "SELINUXTYPE=../x")], /holds "\.\."/],
    [
      "the configuration is a directory",
      [directoryEntry("etc/selinux/config")],
      /is a directory, not a file/,
    ],
    [
      "file_contexts is not there",
      [
        fileEntry("etc/selinux/config", "SELINUXTYPE="),
        directoryEntry("etc/selinux/contexts"),
        directoryEntry("etc/selinux/contexts/files"),
      ],
      /file_contexts": not there/,
    ],
  ])("refuses a policy when %s", (_, entries, message) => {
    const base = [directoryEntry("etc"), directoryEntry("etc/selinux")];
    const root = mergeArchives([archive(...base, ...entries)]);
    expectError(() => labelTree(root, noReader), "invalid-policy", message);
  });

  test("goes through any depth", () => {
    const tree = labelledTree({ "": "/.* x\n" }, []);
    const { stat } = tree;
    let deep: Directory = { kind: "directory", stat, entries: new Map() };
    for (let i = 0; i < 3000; i++) {
      deep = { kind: "directory", stat, entries: new Map([["d", deep]]) as never };
    }
    const entries = new Map([...tree.entries, ["d", deep]] as never) as Directory["entries"];
    const labelled = labelTree({ kind: "directory", stat, entries }, noReader);
    expect(labelled.entries.size).toBe(tree.entries.size + 1);
  });
});

/** Patterns as policies have them, over few names, so that they match. */
const name = fc.constantFrom("a", "b", "lib", "x.so", "x.so.1", "backup");
const path = fc
  .array(name, { minLength: 1, maxLength: 3 })
  .map((names) => `/opt/${names.join("/")}`);
const pattern = fc
  .tuple(
    path.map((text) => text.replaceAll(".", "\\.")),
    fc.constantFrom(
      "",
      "(/.*)?",
      "/.*",
      "/[^/]+",
      "/(?!backup).*",
      ".*\\.so(\\.[^/]*)*",
      "/(a|b)?",
      "(/lib)?(/.*)?",
    ),
  )
  .map((parts) => parts.join(""));
const rule = fc
  .tuple(
    pattern,
    fc.constantFrom("", "", "--", "-d", "-l"),
    fc.constantFrom("one:t:s0", "two:t:s0", "three:t:s0", "<<none>>"),
  )
  .map((fields) => `${fields.join("\t")}\n`);
const substitution = fc.tuple(path, path).map((pair) => `${pair.join(" ")}\n`);
const lines = (line: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<string> =>
  fc.array(line, { maxLength }).map((all) => all.join(""));

const randomPolicy = fc.record({
  "": lines(rule, 12).map((text) => `/.* root:t:s0\n${text}`),
  ".local": lines(rule, 3),
  ".homedirs": lines(rule, 3),
  ".subs": lines(substitution, 3),
  ".subs_dist": lines(substitution, 3),
});

/** The directories above absolute paths, as tar names them. */
function parentsOf(paths: readonly string[]): Set<string> {
  const parents = new Set<string>();
  for (const each of paths) {
    for (let end = each.indexOf("/", 1); end !== -1; end = each.indexOf("/", end + 1)) {
      parents.add(each.slice(1, end));
    }
  }
  return parents;
}

/** Every path of `path` is there: as a directory where it leads on, else as a file or a further name of one. */
const randomEntries = fc
  .tuple(
    fc.uniqueArray(path, { minLength: 1, maxLength: 12 }),
    fc.array(fc.nat(), { minLength: 12, maxLength: 12 }),
  )
  .map(([paths, picks]) => {
    const leaves = paths
      .filter((each) => !paths.some((other) => other.startsWith(`${each}/`)))
      .sort();
    const directories = parentsOf(leaves);
    return [
      ...[...directories].sort().map(directoryEntry),
      ...leaves.map((leaf, i) => {
        const target = picks[i]! % (2 * (i + 1));
        return target < i
          ? hardLinkEntry(leaf.slice(1), leaves[target]!.slice(1))
          : fileEntry(leaf.slice(1), leaf);
      }),
    ];
  });

const bothSides = needsThat(cfsctlMissing);

bothSides.describe("labelTree beside composefs-rs", () => {
  test("random policies and trees: the same digests", () => {
    fc.assert(
      fc.property(
        randomPolicy,
        randomEntries,
        fc.constantFrom<FormatVersion>(1, 2),
        fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512"),
        (files, entries, version, algorithm) => {
          const image = new PeerImage([policyArchive(files, ...entries)], version, algorithm);
          expect(image.refusal).toBe("");
          const tree = labelledTree(files, entries, algorithm);
          expect(imageDigest(tree, version, algorithm)).toBe(image.digest("--bootable"));
        },
      ),
      { numRuns: Number(process.env["COMPOSEFS_PROPERTY_RUNS"] ?? 300) / 10 },
    );
  }, 120_000);

  test.each([
    "/[]x-]",
    "/[^]x]",
    "/[[:digit:]_[:^ascii:]]",
    "/[a\\-z\\d\\]]",
    "/[[ab]c]",
    "/[a[b]",
    "/[+-a]+",
    "/\\d\\w\\W*",
    "/\\D\\S?",
    "/\\x2e\\.\\+",
    "/(?:a)(?P<n>b)(?<m>c)",
    "/\xc3\xa9+",
    "/[\xc3\xa9]+",
    "/a{",
    "/a{x}",
    "/a{2,3}?",
    "/a++",
    "/a**b",
    "/|/a|",
    "^/a",
    "/a^|/b",
    "/a$",
    "/\\bab\\b",
    "/a\\B.*",
    "/a\\z",
    "/(?!backup).*",
    "/((?!a(?!b)).)*",
    "/.(?!x)",
    "/a(?!-)",
    "/a(?=-)",
    "/.",
    "/...",
  ])("the pattern %j: the same digest", (written) => {
    const names = [
      ...["a", "b", "c", "x", "y", "z", "]", "[", "-", "^", "_", "+", "1", "5", "\n", "\xff"],
      ...["..+", "x.+", "ab", "aa", "aaa", "aaab", "abc", "aab", "ca", "ccab", "a{", "a{x}"],
      ...["\xc3\xa9", "\xc3\xa9\xc3\xa9", "\xc3\xa9\xa9", "\xe9", "1a..", "1a1", "a.b", "aax"],
      ...["backup1", "\xffx"],
    ];
    const entries = names.map((each) => fileEntry(each));
    const text = `/.* root:t:s0\n${written} other:t:s0\n`;
    const files = { "": Buffer.from(text, "latin1") };
    const image = new PeerImage([policyArchive(files, ...entries)], 1, "sha256");
    expect(image.refusal).toBe("");
    const tree = labelledTree(files, entries);
    expect(imageDigest(tree, 1, "sha256")).toBe(image.digest("--bootable"));
  });

  needsThat(debianPolicyMissing, debianPolicyObtainable).test(
    "Debian's policy: the same digests",
    () => {
      const files = debianPolicy();
      // A file for every tenth rule, where its pattern is a plain path or begins with one.
      const paths = Buffer.from(files[""]!)
        .toString()
        .split("\n")
        .filter((_, i) => i % 10 === 0)
        .map((line) =>
          line
            .split(/\s/)[0]!
            .replaceAll(/\\(.)/g, "$1")
            .replace(/[(*[?+].*$/, "x"),
        )
        .filter((each) => /^\/[\w./-]+[\w]$/.test(each) && each.length < 90);
      const leaves = [...new Set(paths)].filter(
        (each, _, all) =>
          !all.some((other) => other.startsWith(`${each}/`)) && !each.startsWith("/etc/selinux"),
      );
      const directories = parentsOf(leaves);
      for (const there of ["usr", "boot", "sysroot", "etc", "etc/selinux"])
        directories.delete(there);
      const entries = [
        ...[...directories].sort().map(directoryEntry),
        ...leaves.map((leaf) => fileEntry(leaf.slice(1), leaf)),
      ];
      expect(leaves.length).toBeGreaterThan(200);
      for (const [version, algorithm] of [
        [1, "sha512"],
        [2, "sha256"],
      ] as const) {
        const image = new PeerImage([policyArchive(files, ...entries)], version, algorithm);
        expect(image.refusal).toBe("");
        const tree = labelledTree(files, entries, algorithm);
        expect(imageDigest(tree, version, algorithm)).toBe(image.digest("--bootable"));
      }
    },
    120_000,
  );
});
