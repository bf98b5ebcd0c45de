/** Boot entries, kernel command lines and sections of PE files. */

import { describe, expect, test } from "vitest";
import {
  BootEntryFile,
  composefsDigestIn,
  findPeSection,
  splitKernelCmdline,
} from "#src/core/boot/mod.ts";
import { ComposefsError } from "#src/core/mod.ts";
import { peFile } from "../../support/pe-file.ts";

const SHA256 = "ab".repeat(32);
const SHA512 = "cd".repeat(64);

describe("splitKernelCmdline", () => {
  test.each([
    ["", [""]],
    ["a  b", ["a", "", "b"]],
    ['a="b c" d\te\n', ['a="b c"', "d", "e", ""]],
    ['"open until the end', ['"open until the end']],
  ])("%j", (text, args) => {
    expect(splitKernelCmdline(text)).toEqual(args);
  });
});

describe("composefsDigestIn", () => {
  test.each([
    ["quiet", undefined],
    [`composefs=${SHA256} quiet`, SHA256],
    [`a composefs=?${SHA256}`, SHA256],
    [`composefs.digest=v1-sha256-12:${SHA256}`, SHA256],
    [`composefs.digest=?v1-sha256-12:${SHA256}`, SHA256],
    [`composefs.digest=v1-sha512-12:${SHA512} composefs=${SHA256}`, SHA256],
    [`composefs=${"ee".repeat(32)} composefs.digest=v2-sha256-12:${SHA256}`, SHA256],
    [`"composefs=${SHA256}"`, undefined],
  ])("%j", (text, digest) => {
    expect(composefsDigestIn(text, "sha256")).toBe(digest);
  });

  test.each([
    "composefs=abc",
    `composefs=${SHA512}`,
    `composefs=${"x".repeat(64)}`,
    "composefs.digest=",
    `composefs.digest=v3-sha256-12:${SHA256}`,
    `composefs.digest=v1-sha256-16:${SHA256}`,
  ])("refuses %j", (text) => {
    expect(() => composefsDigestIn(text, "sha256")).toThrow(ComposefsError);
  });
});

describe("BootEntryFile", () => {
  const text =
    "title  My OS\n# initrd /x\nlinux /k/vmlinuz\ninitrd   /b/init\ninitrd plain\nlinuxes /no\n";

  test("stays as it is, and ends its last line", () => {
    expect(new BootEntryFile(text).format()).toBe(text);
    expect(new BootEntryFile("title\n\nx").format()).toBe("title\n\nx\n");
    expect(new BootEntryFile("").format()).toBe("");
  });

  test("knows its files", () => {
    expect(new BootEntryFile(text).filePaths()).toEqual(["/k/vmlinuz", "/b/init", "plain"]);
  });

  test("moves files that lie in directories", () => {
    const file = new BootEntryFile(text);
    const moved: string[] = [];
    file.relocate("id", (from, to) => moved.push(`${from} ${to}`));
    expect(moved).toEqual(["/k/vmlinuz /id/vmlinuz", "/b/init /id/init"]);
    expect(file.format()).toBe(
      text.replace("/k/vmlinuz", "/id/vmlinuz").replace("/b/init", "/id/init"),
    );
  });

  test.each([
    ["title x\n", "a=1", "title x\noptions a=1\n"],
    ["options\ttab b=2\n", "a=1", "options\ttab b=2 a=1\n"],
    ['options  x  a=0 "a=2 3"\nend\n', "a=1", 'options  x  a=1 "a=2 3"\nend\n'],
    ["options quieter\n", "quiet", "options quiet\n"],
    ["options a=1\noptions b=1\n", "b=2", "options a=1 b=2\noptions b=1\n"],
  ])("%j with %j", (before, argument, after) => {
    const file = new BootEntryFile(before);
    file.setOption(argument);
    expect(file.format()).toBe(after);
  });
});

describe("findPeSection", () => {
  const file = peFile([
    [".osrel", "NAME=x"],
    [".cmdline", "quiet"],
  ]);

  test("finds sections by their names", () => {
    expect(Buffer.from(findPeSection(file, ".cmdline")!).toString()).toBe("quiet");
    expect(Buffer.from(findPeSection(file, ".osrel")!).toString()).toBe("NAME=x");
    expect(findPeSection(file, ".linux")).toBeUndefined();
    expect(findPeSection(Buffer.from("no such file"), ".cmdline")).toBeUndefined();
  });

  test("a file that is cut anywhere has the section or has it not", () => {
    for (let length = 0; length < file.length; length++) {
      const found = findPeSection(file.subarray(0, length), ".cmdline");
      expect(found === undefined || Buffer.from(found).toString() === "quiet").toBe(true);
    }
  });

  test("numbers that lead out of the file find nothing", () => {
    for (let at = 0; at + 4 <= file.length; at++) {
      const broken = Buffer.from(file);
      broken.fill(0xff, at, at + 4);
      expect(() => findPeSection(broken, ".cmdline")).not.toThrow();
    }
  });
});
