/** Which rule of file contexts counts for a path: by example, against JavaScript's own, and at its limits. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ByteString } from "#src/core/mod.ts";
import { FileContexts } from "#src/core/selinux/file-contexts.ts";
import {
  parseFileContexts,
  parsePolicyName,
  parseSubstitutions,
} from "#src/core/selinux/policy-text.ts";
import { WorkMeter } from "#src/core/selinux/work-meter.ts";
import { expectError } from "../../support/expect-error.ts";
import { needsThat } from "../../support/needs.ts";
import {
  debianPolicy,
  debianPolicyMissing,
  debianPolicyObtainable,
} from "../../support/selinux-policy.ts";

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

function contextsOf(text: string, meter?: WorkMeter): FileContexts {
  return new FileContexts(parseFileContexts(latin1(text), "file_contexts"), meter);
}

function labelOf(contexts: FileContexts, path: string, type = "-"): string | undefined {
  const state = contexts.advance(contexts.start, path as ByteString);
  return contexts.label(state, path as ByteString, type);
}

/** The label that one pattern gives, or nothing. */
const isMatch = (pattern: string, path: string, type = "-"): boolean =>
  labelOf(contextsOf(`${pattern} x\n`), path, type) === "x";

describe("FileContexts", () => {
  const contexts = contextsOf(`
# comment
/.*                     root
/usr(/.*)?              usr
/usr/bin/[^/]+      --  bin
/usr/bin/sh         -l  shell
/usr/bin/none           <<none>>
/dev/sd[a-z][0-9]*  -b  disk
`);

  test.each([
    ["/", "d", "root"],
    ["/usr", "d", "usr"],
    ["/usrx", "d", "root"],
    ["/usr/bin/ls", "-", "bin"],
    ["/usr/bin/ls", "l", "usr"],
    ["/usr/bin/sh", "l", "shell"],
    ["/usr/bin/sh", "-", "bin"],
    ["/usr/bin/none", "-", undefined],
    ["/usr/bin/\xff\xfe", "-", "bin"],
    ["/usr/bin/a\nb", "-", "bin"],
    ["/dev/sda12", "b", "disk"],
    ["/dev/sda12", "c", "root"],
    ["relative", "-", undefined],
  ])("%j of type %s: the last rule that matches counts", (path, type, label) => {
    expect(labelOf(contexts, path, type)).toBe(label);
  });

  test.each([
    ["/a(b|c)?d", ["/ad", "/abd", "/acd"], ["/abcd", "/a"]],
    ["/a|/b", ["/a", "/b"], ["/ab", "/c"]],
    ["/(a|/)*", ["/", "/a//a"], ["/b"]],
    ["/a{2,3}", ["/aa", "/aaa"], ["/a", "/aaaa"]],
    ["/a{2}", ["/aa"], ["/a", "/aaa"]],
    ["/(ab){1,}", ["/ab", "/abab"], ["/", "/aba"]],
    ["/a+?b*?", ["/a", "/aab"], ["/b"]],
    ["/(a*)*b", ["/b", "/aab"], ["/a"]],
    ["/()x", ["/x"], ["/"]],
    ["/[^/]*\\.so(\\.[0-9]+)*", ["/lib.so", "/lib.so.1.2"], ["/lib.so.", "/a/b.so"]],
    ["/[]x-]", ["/]", "/x", "/-"], ["/^", "/y"]],
    ["/[^]x]", ["/y", "/\n"], ["/]", "/x"]],
    ["/[[:digit:]_[:^ascii:]]", ["/1", "/_", "/\xff"], ["/a"]],
    ["/[a\\-z\\d\\]]", ["/a", "/-", "/z", "/5", "/]"], ["/b"]],
    ["/[[ab]c]", ["/a", "/b", "/c"], ["/["]],
    ["/[a[b]", ["/a", "/[", "/b"], ["/]"]],
    ["/\\d\\w\\S\\D\\W\\s", ["/1a..- "], ["/1a1111"]],
    ["/\\x2e\\.\\+\\t", ["/..+\t"], ["/x.+\t"]],
    ["/(?:a)(?P<n>b)(?<m>c)", ["/abc"], ["/ab"]],
    ["/\xc3\xa9+", ["/\xc3\xa9\xc3\xa9"], ["/\xc3\xa9\xa9"]],
    ["/a{", ["/a{"], ["/a"]],
    ["^/a", ["/a"], ["/b"]],
    ["/a$", [], ["/a"]],
    ["/\\bab\\b/?", ["/ab/"], ["/abc/"]],
    ["/a\\B.*", ["/ab"], ["/a.b"]],
    ["/srv/(?!backup).*", ["/srv/www", "/srv/"], ["/srv/backup1"]],
    ["/x/(?=.*z)y.*", ["/x/yaz"], ["/x/ya", "/x/az"]],
    ["/((?!a(?!b)).)*", ["/ccab", "/"], ["/ca", "/aab"]],
    ["/.(?!x)", ["/\xff"], ["/\n"]],
  ])("%s", (pattern, matches, others) => {
    expect(matches.filter((path) => !isMatch(pattern, path))).toEqual([]);
    expect(others.filter((path) => isMatch(pattern, path))).toEqual([]);
  });

  test("a look-ahead sees the letter of the type", () => {
    expect(isMatch("/a(?!d)", "/a", "-")).toBe(true);
    expect(isMatch("/a(?!d)", "/a", "d")).toBe(false);
  });

  test.each([
    "/(",
    "/)",
    "/a)|(b",
    "/[a",
    "/a\\",
    "/*+(",
    "/**(",
    "*",
    "+a",
    "/a{3,2}",
    "/a{70000}",
    "/[z-a]",
    "/(?i)a",
    "/(?>a)",
    "/(?<!a)b",
    "/(a)\\1",
    "/[a&&b]",
    "/[a--b]",
    "/\\pL",
    "/\\Qa\\E",
    "/\\<a",
    "/a{,3}",
    "/[[:foo:]]",
    "/(?=a",
    "/(?!a)++",
  ])("refuses the pattern %s", (pattern) => {
    const text = `/ok x\n\n${pattern} x\n`;
    expectError(() => contextsOf(text), "invalid-policy", /"file_contexts" line 3: pattern/);
  });

  test("refuses deep groups and large repetitions without going through them", () => {
    for (const pattern of [
      "(".repeat(100_000),
      `${"(".repeat(251)}${")".repeat(251)}`,
      "a".concat("+".repeat(100_000)),
      "(((a{1000}){1000}){1000}){1000}",
      "((((){60000}){60000}){60000}){60000}",
      "(?!((a{1000}){1000}){1000})",
    ]) {
      expectError(() => contextsOf(`${pattern} x\n`), "invalid-policy");
    }
  });

  test("ends when hostile patterns cost too much", () => {
    const path = `/${"a".repeat(4000)}`;
    const meter = new WorkMeter(10_000_000);
    const slow = "/(a|a|aa)*(a*)*(.*a.*){30}b x\n";
    expect(labelOf(contextsOf(slow), path)).toBeUndefined();
    // Looks to the end from each byte.
    const ahead = "/((?!.*c).)*b x\n";
    expectError(() => labelOf(contextsOf(ahead, meter), path), "invalid-policy", /takes too long/);
    // Each byte makes a new state of very many nodes.
    const many = new WorkMeter(10_000_000);
    const wide = Array.from({ length: 300 }, (_, i) => `/.*${"a".repeat(i)}.{1,300}b x\n`).join("");
    expectError(() => labelOf(contextsOf(wide, many), path), "invalid-policy", /takes too long/);
  });

  const piece = fc.constantFrom(
    "a",
    "b",
    "/",
    ".",
    "[ab]",
    "[^/]",
    "(a|b)",
    "(/.*)?",
    "a*",
    "b+",
    "(ab)?",
    "(a|ab)*",
    "a{1,2}",
    "\\.",
    "()",
  );
  const pattern = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join("")}`);
  const subject = fc
    .array(fc.constantFrom("a", "b", "/", "."), { maxLength: 8 })
    .map((all) => `/${all.join("")}`);

  test("matches what JavaScript's patterns match", () => {
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 12 }),
        fc.array(subject, { minLength: 1, maxLength: 20 }),
        (patterns, paths) => {
          const all = contextsOf(patterns.map((each, i) => `${each} ${i}\n`).join(""));
          for (const path of paths) {
            const last = patterns.findLastIndex((each) =>
              new RegExp(`^(?:${each})$`, "s").test(path),
            );
            expect(labelOf(all, path)).toBe(last === -1 ? undefined : String(last));
          }
        },
      ),
    );
  });

  test("reads any text as rules or refuses it", () => {
    const character = fc.constantFrom(
      ...Array.from("()[]{}|*+?.^$\\/-:=!<>,&~ab01dwsxbBAzP\xc3\xa9\xff"),
    );
    fc.assert(
      fc.property(fc.array(character, { maxLength: 30 }), subject, (characters, path) => {
        try {
          labelOf(contextsOf(`${characters.join("")} x\n`), path);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid-policy" });
        }
      }),
      { numRuns: 3000 },
    );
  });
});

needsThat(debianPolicyMissing, debianPolicyObtainable).test(
  "FileContexts: Debian's policy, as JavaScript matches it",
  () => {
    const files = debianPolicy();
    const rules = ["", ".homedirs"].flatMap((suffix) =>
      parseFileContexts(Buffer.from(files[suffix]!), suffix),
    );
    const contexts = new FileContexts(rules);
    const compiled = rules.map(({ pattern }) => new RegExp(`^(?:${pattern})$`, "s"));
    const paths = rules
      .filter((_, i) => i % 20 === 0)
      .flatMap(({ pattern }) => {
        const path = pattern
          .replaceAll(/\(([^()|]*)\|[^()]*\)/g, "$1")
          .replaceAll(/\[\^\/\]|\./g, "x")
          .replaceAll(/[()*+?\\]/g, "");
        return [path, `${path}/sub`, path.slice(0, -1)];
      });
    for (const path of paths) {
      for (const type of ["-", "d", "l"]) {
        const last = rules.findLastIndex(
          (rule, i) => (rule.type ?? type) === type && compiled[i]!.test(path),
        );
        expect(labelOf(contexts, path, type), path).toBe(
          last === -1 ? undefined : rules[last]!.context,
        );
      }
    }
  },
);

describe("parseFileContexts, parseSubstitutions, parsePolicyName", () => {
  test.each([
    ["/a\n", /line 1: context is missing/],
    ["\n/a --\n", /line 2: context is missing/],
    ["/a -x y", /line 1: "-x" is no file type/],
    ["/a -- y z", /more than three fields/],
    ["/a \xff", /not UTF-8/],
    ["# \xc3\n", /not UTF-8/],
    ["/a \xed\xa0\x80", /not UTF-8/],
    ["/a a\x80", /not UTF-8/],
    ["/a \xc3\xa9\xa9", /not UTF-8/],
  ])("%j is refused", (text, message) => {
    expectError(() => parseFileContexts(latin1(text), "f"), "invalid-policy", message);
  });

  test("split at white space of any kind, with or without a last newline", () => {
    const [rule, ...more] = parseFileContexts(
      latin1("\t/a\xc2\xa0--\xe3\x80\x80\xc3\xa9:x \r"),
      "f",
    );
    expect(more).toEqual([]);
    expect(rule).toMatchObject({ pattern: "/a", type: "-", context: "\xc3\xa9:x" });
  });

  test("substitutions are pairs", () => {
    expect(parseSubstitutions(latin1("# x\n/bin /usr/bin\n\n /lib\t/usr/lib \n"), "f")).toEqual([
      ["/bin", "/usr/bin"],
      ["/lib", "/usr/lib"],
    ]);
    expectError(() => parseSubstitutions(latin1("/a"), "f"), "invalid-policy");
    expectError(() => parseSubstitutions(latin1("/a b c"), "f"), "invalid-policy");
  });

  test.each([
    ["SELINUXTYPE=targeted", "targeted"],
    ["#SELINUXTYPE=a\n selinuxType = b c \nSELINUXTYPE=d", "b c"],
    ["SELINUX=enforcing", undefined],
    ["SELINUXTYPE", undefined],
    ["SELINUXTYPE=", ""],
    ["SELINUXTYPE=x\n\xff", "x"],
  ])("%j names the policy %j", (text, name) => {
    expect(parsePolicyName(latin1(text), "config")).toBe(name);
  });
});
