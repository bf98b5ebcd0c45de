/** The commands that stand in for C's: standard output and exit status over many command lines. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { needs } from "../support/needs.ts";
import { oracle } from "../support/oracle.ts";
import type { Finished } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { SAMPLE_DUMP, runProgram } from "./programs.ts";

/** Command lines of mkcomposefs that end the same way for C and for us. */
const MKCOMPOSEFS: readonly string[][] = [
  [],
  ["sample.dump"],
  [""],
  ["", "x"],
  ["a", "b", "c"],
  ["--from-file", "sample.dump", "-"],
  ["sample.dump", "-", "--from-file"],
  ["--from", "--", "sample.dump", "-"],
  ["--from-file", "-", "-"],
  ["--from-file", "--print-digest", "sample.dump", "-"],
  ["--from-file", "--print-digest-only", "sample.dump"],
  ["--from-file", "--print-digest-o", "sample.dump"],
  ["--from-file", "--print-digest-only", "sample.dump", "x"],
  ["--from-file", "--print-d", "sample.dump", "x"],
  ["--from-file", "--print-digest-only", "--min-version=1", "sample.dump"],
  ["--from-file", "--print-digest-only", "--max-version=1", "sample.dump"],
  ["--from-file", "--print-digest-only", "--max-version", "1", "sample.dump"],
  ["--from-file", "--print-digest-only", "--max-version=0", "whiteout.dump"],
  ["--from-file", "--print-digest-only", "--max-version=1", "whiteout.dump"],
  ["--from-file", "--print-digest-only", "whiteout.dump"],
  ["--from-file", "--print-digest-only", "--min-version=1", "--max-version=0", "sample.dump"],
  ["--from-file", "--print-digest-only", "--min-version=2", "sample.dump"],
  ["--from-file", "--print-digest-only", "--max-version=2", "sample.dump"],
  ["--from-file", "--print-digest-only", "--min-version=-1", "sample.dump"],
  ["--from-file", "--print-digest-only", "--max-version=-1", "sample.dump"],
  ["--from-file", "--print-digest-only", "--min-version= +1", "sample.dump"],
  ["--from-file", "--print-digest-only", "--min-version=1x", "sample.dump"],
  ["--from-file", "--print-digest-only", "--min-version=", "sample.dump"],
  ["--from-file", "--print-digest-only", "--min-version=4294967297", "sample.dump"],
  ["--from-file", "--print-digest-only", "--threads=2", "sample.dump"],
  ["--from-file", "--print-digest-only", "--threads=0", "sample.dump"],
  ["--from-file", "--print-digest-only", "--threads=x", "sample.dump"],
  ["--from-file", "--print-digest-only", "--threads"],
  ["--from-file", "--print-digest-only", "--from-file=yes", "sample.dump"],
  ["--from-file", "--print-digest-only", "--nothing", "sample.dump"],
  ["--from-file", "--print-digest-only", "-C", "sample.dump"],
  ["--from-file", "--print-digest-only", "missing.dump"],
  ["--from-file", "--print-digest-only", "empty.dump"],
  ["--from-file", "--print-digest-only", "unended.dump"],
  ["--from-file", "--print-digest-only", "bad.dump"],
  ["--from-file", "--print-digest-only", "directory"],
  ["--from-file", "sample.dump", "directory"],
  ["--from-file", "sample.dump", "missing/image"],
];

/** Command lines of composefs-info that end the same way for C and for us. */
const COMPOSEFS_INFO: readonly string[][] = [
  [],
  ["nothing"],
  ["nothing", "image.cfs"],
  ["ls"],
  ["ls", "image.cfs"],
  ["ls", "image.cfs", "whiteout.cfs"],
  ["ls", "image.cfs", "missing.cfs", "image.cfs"],
  ["ls", "sample.dump"],
  ["ls", "directory"],
  ["ls", "empty.dump"],
  ["ls", "--filter=dir", "image.cfs"],
  ["--filter", "link", "ls", "--filter=more", "image.cfs"],
  ["--filter=nothing", "ls", "image.cfs"],
  ["--filter=", "ls", "image.cfs"],
  ["--filter=a/b", "ls", "image.cfs"],
  ["--filt=dir", "dump", "image.cfs"],
  ["dump", "image.cfs"],
  ["dump", "whiteout.cfs", "image.cfs"],
  ["objects", "image.cfs"],
  ["objects", "image.cfs", "whiteout.cfs", "image.cfs"],
  ["missing-objects", "image.cfs"],
  ["--basedir=directory", "missing-objects", "image.cfs"],
  ["missing-objects", "image.cfs", "--basedir", "objects"],
  ["missing-objects", "image.cfs", "--basedir", "missing"],
  ["missing-objects", "image.cfs", "--basedir", "sample.dump"],
  ["missing-objects", "image.cfs", "--basedir"],
  ["--basedir=missing", "ls", "image.cfs"],
  ["--basedir=missing", "measure-file", "image.cfs"],
  ["measure-file"],
  ["measure-file", "image.cfs", "sample.dump"],
  ["measure-file", "image.cfs", "missing", "image.cfs"],
  ["measure-file", "directory"],
  ["--nothing", "ls", "image.cfs"],
  ["-x", "ls", "image.cfs"],
  ["--", "ls", "image.cfs"],
  ["ls", "--", "--filter=dir", "image.cfs"],
];

let cwd = "";

beforeAll(() => {
  cwd = tempDir();
  const dump = (name: string, text: string) => writeFileSync(join(cwd, name), text);
  dump("sample.dump", SAMPLE_DUMP);
  dump("whiteout.dump", "/ 0 40755 2 0 0 0 0.0 - - -\n/gone 0 20000 1 0 0 0 0.0 - - -\n");
  dump("empty.dump", "");
  dump("unended.dump", "/ 0 40755 2 0 0 0 0.0 - - -");
  dump("strict.dump", "/ 0 40755 2 0 0 0 0.0 - - -\n/l 9 120777 1 0 0 0 0.0 x - -\n");
  dump("bad.dump", "/ 0 40755 2 0 0 0 0.0 - - -\n/a/b 0 100644 1 0 0 0 0.0 - - -\n");
  mkdirSync(join(cwd, "directory"));
  mkdirSync(join(cwd, "objects/52"), { recursive: true });
  dump("objects/52/d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408", "");
  for (const [source, image] of [
    ["sample.dump", "image.cfs"],
    ["whiteout.dump", "whiteout.cfs"],
  ]) {
    expect(runProgram("mkcomposefs", ["--from-file", source!, image!], { cwd }).status).toBe(0);
  }
});

/** What both sides must agree on. */
function outcome({ status, stdout }: Finished) {
  return { status, stdout: stdout.toString("latin1") };
}

needs("oracle").describe("mkcomposefs: standard output and exit status are C's", () => {
  for (const args of MKCOMPOSEFS) {
    test(JSON.stringify(args), () => {
      // Only where it will be read: the write would fail otherwise.
      const options =
        args.includes("-") && !args.includes("sample.dump") ? { cwd, stdin: SAMPLE_DUMP } : { cwd };
      const ours = runProgram("mkcomposefs", args, options);
      expect(outcome(ours)).toEqual(outcome(oracle.mkcomposefs(args, options)));
      expect(ours.stderr !== "").toBe(ours.status !== 0);
    });
  }

  test.each(["unended.dump", "sample.dump", "strict.dump"])("CFS_PARSE_STRICT: %s", (dump) => {
    const args = ["--from-file", "--print-digest-only", dump];
    const options = { cwd, env: { CFS_PARSE_STRICT: "" } };
    expect(outcome(runProgram("mkcomposefs", args, options))).toEqual(
      outcome(oracle.mkcomposefs(args, options)),
    );
  });

  test("POSIXLY_CORRECT: options after the first operand are operands", () => {
    const args = ["--print-digest-only", "sample.dump", "--from-file"];
    const options = { cwd, env: { POSIXLY_CORRECT: "1" } };
    expect(outcome(runProgram("mkcomposefs", args, options))).toEqual(
      outcome(oracle.mkcomposefs(args, options)),
    );
  });
});

needs("oracle").describe("composefs-info: standard output and exit status are C's", () => {
  for (const args of COMPOSEFS_INFO) {
    test(JSON.stringify(args), () => {
      const ours = runProgram("composefs-info", args, { cwd });
      expect(outcome(ours)).toEqual(outcome(oracle.composefsInfo(args, { cwd })));
      expect(ours.stderr !== "").toBe(ours.status !== 0);
    });
  }
});

test("composefs-info measure-file: has the kernel's digest of an empty file", () => {
  // C 1.0.8 computes another one, and later versions this one.
  const done = runProgram("composefs-info", ["measure-file", "empty.dump"], { cwd });
  expect(done.stdout.toString()).toBe(
    "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95\n",
  );
});

// Debian's package has no composefs-dump: what its source does is written down here.
describe("composefs-dump", () => {
  test("writes the same bytes again, in the same format version", () => {
    for (const image of ["image.cfs", "whiteout.cfs"]) {
      expect(runProgram("composefs-dump", [image, "copy.cfs"], { cwd }).status).toBe(0);
      const [before, after] = [image, "copy.cfs"].map((name) => readFileSync(join(cwd, name)));
      expect(after!.equals(before!)).toBe(true);
    }
  });

  test.each([
    [[], 1],
    [["image.cfs"], 1],
    [["missing.cfs", "copy.cfs"], 1],
    [["sample.dump", "copy.cfs"], 1],
    [["image.cfs", "directory"], 1],
    [["image.cfs", "missing/copy.cfs"], 1],
    [["image.cfs", "copy.cfs", "ignored"], 0],
    [["--", "image.cfs"], 1],
    [["image.cfs", "-"], 0], // a file of that name
  ])("%j exits with %d", (args, status) => {
    const done = runProgram("composefs-dump", args, { cwd });
    expect(outcome(done)).toEqual({ status, stdout: "" });
  });
});

describe("mount.composefs: mistakes exit with 1 and say what is wrong", () => {
  const digest = `digest=${"a".repeat(64)}`;
  test.each([
    [[], "No source path specified"],
    [["image.cfs"], "No mount path specified"],
    [["image.cfs", "directory"], "No object dirs specified"],
    [["-o", "ro", "image.cfs", "directory"], "No object dirs specified"],
    [["-o", "", "image.cfs", "directory"], "Unsupported option"],
    [["-o", "basedir", "image.cfs", "directory"], "No value specified for basedir option"],
    [["-o", "basedir=x,what", "image.cfs", "directory"], "Unsupported option what"],
    [["-o", "basedir=x,upperdir=u", "image.cfs", "directory"], "Both workdir and upperdir"],
    [["-t", "erofs", "image.cfs", "directory"], "Unsupported fs type 'erofs'"],
    [["-x", "image.cfs", "directory"], "invalid option -- 'x'"],
    [["-N", "1", "image.cfs", "directory"], "invalid option -- 'N'"],
    [["-o"], "option requires an argument -- 'o'"],
    [["-o", "basedir=objects", "missing.cfs", "directory"], "No such file or directory"],
    [["-o", "basedir=objects", "sample.dump", "directory"], "not an EROFS image"],
    [["-o", `basedir=objects,${digest}`, "image.cfs", "directory"], "Image has no fs-verity"],
  ])("%j", (args, message) => {
    const done = runProgram("mount.composefs", args, { cwd });
    expect(outcome(done)).toEqual({ status: 1, stdout: "" });
    expect(done.stderr).toContain(message);
  });

  test("takes the options that mount(8) passes; -f does not mount, -v tells the steps", () => {
    const args = ["image.cfs", "directory", "-sfnv", "-o", "rw,basedir=objects", "-t", "composefs"];
    const done = runProgram("mount.composefs", args, { cwd });
    expect(outcome(done)).toEqual({ status: 0, stdout: "" });
    expect(done.stderr).toContain('Open the image "image.cfs"');
  });
});

describe.each(["mkcomposefs", "composefs-info", "composefs-dump", "mount.composefs"] as const)(
  "%s",
  (program) => {
    test("--help and --version answer on standard output", () => {
      const help = runProgram(program, ["--help"]);
      expect(help.status).toBe(0);
      expect(help.stdout.toString()).toMatch(`Use: ${program} `);
      const version = runProgram(program, ["--version"]);
      expect(version.status).toBe(0);
      expect(version.stdout.toString()).toMatch(/^\S+ \(composefs for Node\.js\) \d+\.\d+\.\d+\n$/);
    });
  },
);
