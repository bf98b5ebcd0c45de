/**
 * `cfsctl`: what it prints and how it ends, recorded; and, where composefs-rs's own is there, the same for
 * the same command lines.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { cfsctlMissing, runPeer } from "../support/cfsctl.ts";
import { needs, needsThat } from "../support/needs.ts";
import { run } from "../support/run.ts";
import type { Finished } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { SAMPLE_DUMP, bin, runProgram } from "./programs.ts";

let cwd = "";

beforeAll(() => {
  cwd = tempDir();
  makeRootfs(join(cwd, "root"));
  makeRootfs(join(cwd, "bootable"), ["boot", "sysroot"]);
  writeFileSync(join(cwd, "sample.dump"), SAMPLE_DUMP);
});

/** A root file system whose digest is the same everywhere, for root. */
function makeRootfs(path: string, more: readonly string[] = []): void {
  const directories = ["", "usr", "usr/bin", "run", "run/lock", ...more];
  for (const name of directories) mkdirSync(join(path, name));
  writeFileSync(join(path, "usr/bin/tool"), "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(join(path, "usr/large"), Buffer.alloc(100_000, "large"));
  writeFileSync(join(path, "run/lock/file"), "gone");
  linkSync(join(path, "usr/bin/tool"), join(path, "also"));
  symlinkSync("usr/bin", join(path, "bin"));
  const files = ["usr/bin/tool", "usr/large", "run/lock/file"];
  for (const name of [...files, ...directories.reverse()]) {
    utimesSync(join(path, name), 1_700_000_000, 1_700_000_000.5);
    if (process.getuid?.() === 0) chownSync(join(path, name), 0, 0);
  }
  lutimesSync(join(path, "bin"), 1_700_000_001, 1_700_000_001);
}

/** Command lines that end the same way for composefs-rs and for us. */
const LINES: readonly string[] = [
  "--no-repo create-dumpfile root",
  "--no-repo create-dumpfile --no-propagate-usr-to-root root",
  "--no-repo create-dumpfile --xattrs keep-user-xattrs root",
  "--no-repo create-dumpfile --bootable bootable",
  "--no-repo compute-id root",
  "--no-repo --hash sha256 compute-id root",
  "--no-repo --erofs-version 0 compute-id root",
  "--no-repo --erofs-version 2 compute-id root",
  "--no-repo --erofs-version=1 --hash=sha256 compute-id --no-propagate-usr-to-root root",
  "--repo nowhere --hash sha256 compute-id root",
  "--no-repo compute-id --bootable root",
  "--no-repo compute-id --bootable bootable",
  "--no-repo compute-karg bootable",
  "--no-repo --hash sha256 --erofs-version 0 compute-karg bootable",
  "--no-repo --insecure --erofs-version 2 compute-karg bootable",
  "--no-repo --insecure compute-karg --no-propagate-usr-to-root bootable",
  "--no-repo compute-karg root",
  "--no-repo compute-id nowhere",
  "--no-repo compute-id root/usr",
  "--no-repo compute-id root/also",
  "--no-repo compute-id root/bin",
  "--no-repo compute-id",
  "--no-repo compute-id root excess",
  "--no-repo compute-id --xattrs all root",
  "--no-repo compute-karg --bootable bootable",
  "--no-repo --no-repo compute-id root",
  "--repo a --user compute-id root",
  "--hash md5 compute-id root",
  "--erofs-version 3 compute-id root",
  "compute-id --no-repo root",
  "",
  "--no-repo",
  "nothing",
  "mkcomposefs --from-file nowhere -",
  "mkcomposefs --use-epoch --print-digest-only root",
  "composefs-info ls nowhere",
];

function ours(line: string) {
  return runProgram("cfsctl", words(line), { cwd });
}

const words = (line: string) => (line === "" ? [] : line.split(" "));

describe("cfsctl", () => {
  needs("root").test("digests of directories", () => {
    const digests = ["", "--erofs-version 0 ", "--erofs-version 2 ", "--hash sha256 "].map(
      (options) => ours(`--no-repo ${options}compute-id root`).stdout.toString().slice(0, 17),
    );
    expect(digests).toMatchInlineSnapshot(`
      [
        "0a8ba838f4cfa05b1",
        "4e378b44ba6688755",
        "1d2c20ae9ebee5fe0",
        "a2ff9b3a6046b929f",
      ]
    `);
    expect(ours("--no-repo --hash sha256 compute-karg bootable").stdout.toString())
      .toMatchInlineSnapshot(`
      "composefs.digest=v1-sha256-12:a6a0589f65a62e431d8e9bfde490bea00a8d73516ff2e133097643936ed3fc97
      "
    `);
  });

  needs("root").test("the dump of a directory", () => {
    expect(ours("--no-repo create-dumpfile root").stdout.toString()).toMatchInlineSnapshot(`
      "/ 0 40755 4 0 0 0 1700000000.500000000 - - -
      /also 10 100755 2 0 0 0 1700000000.500000000 - #!/bin/sh\\n -
      /bin 7 120777 1 0 0 0 1700000001.0 usr/bin - -
      /run 0 40755 2 0 0 0 1700000000.500000000 - - -
      /usr 0 40755 3 0 0 0 1700000000.500000000 - - -
      /usr/bin 0 40755 2 0 0 0 1700000000.500000000 - - -
      /usr/bin/tool 0 @120000 - - - - 0.0 /also - -
      /usr/large 100000 100644 1 0 0 0 1700000000.500000000 5c/fe33fdd58469489037494bd7625be19f5d17bdf0fd1308b102f2a9d5837e8d4778d0a3c3565eb85bad95ecf9b39336608cbe1e91fe3660f8145241d3ea5ff9 - 5cfe33fdd58469489037494bd7625be19f5d17bdf0fd1308b102f2a9d5837e8d4778d0a3c3565eb85bad95ecf9b39336608cbe1e91fe3660f8145241d3ea5ff9
      "
    `);
  });

  test.each([
    ["", 2],
    ["help", 0],
    ["compute-id --help", 0],
    ["--version", 0],
    ["nothing", 2],
    ["ostree images", 2],
    ["--no-repo compute-id", 2],
    ["--no-repo compute-id nowhere", 1],
    ["--no-repo compute-id root/usr", 1],
    ["mkcomposefs --from-file sample.dump - --print-digest-only", 1],
  ])("%j: exit status %d", (line, status) => {
    const done = ours(line);
    expect(done.status).toBe(status);
    expect(done.stderr).toMatch(status === 0 ? /^$/ : /./);
    expect(done.stdout.toString()).toMatch(status === 0 ? /./ : /^$/);
  });

  test("is the program that it is called as", () => {
    const directory = tempDir();
    for (const name of ["mkcomposefs", "composefs-info", "mount.composefs"]) {
      symlinkSync(bin("cfsctl"), join(directory, name));
      const asCommand = ours(`${name} --version`).stdout.toString();
      expect(asCommand).toMatch(new RegExp(`^${name.replace(".", "\\.")} `));
      expect(run(join(directory, name), ["--version"]).stdout.toString()).toBe(asCommand);
    }
  });
});

/** Command lines in an order, in a directory with the root file systems above. */
const REPOSITORY_LINES: readonly string[] = [
  "init repo --insecure",
  "init repo --insecure",
  "--repo repo init --insecure --erofs-version 2",
  "--repo repo init --insecure --algorithm fsverity-sha256-12",
  "init repo --insecure --ensure --erofs-version 2",
  "init repo --algorithm sha512",
  "--insecure init with/parents --erofs-version 2 --algorithm fsverity-sha256-12",
  "--repo repo images",
  "--repo repo images --json",
  "--repo repo create-image root base",
  "--repo repo create-image root base",
  "--repo with/parents create-image root a/name",
  "--repo repo --erofs-version 0 create-image --no-propagate-usr-to-root root",
  "--repo repo create-image --bootable bootable",
  "--repo repo create-image --bootable root",
  "--repo repo create-image nowhere",
  "--no-repo create-image root",
  "--repo repo images",
  "--repo repo list-images --json",
  "--repo with/parents images --no-trunc",
  "--repo repo image-objects base",
  "--repo repo image-objects refs/base",
  "--repo repo image-objects refs/nothing",
  "--repo repo image-objects nothing",
  "--repo repo dump-files base /usr /also /usr/bin/tool",
  "--repo repo dump-files refs/base /usr/ usr/./bin usr/bin/tool",
  "--repo repo dump-files base",
  "--repo repo dump-files base /",
  "--repo repo dump-files base ./also",
  "--repo repo dump-files base /usr/../also",
  "--repo repo dump-files base /also /nothing",
  "--repo repo dump-files base /also/nothing",
  "--repo repo dump-files base --backing-path-only /also /usr/large /bin",
  "--repo repo dump-files base --backing-path-only /also /usr",
  "--repo repo compute-id root",
  "--repo with/parents compute-id root",
  "--repo with/parents --hash sha512 compute-id root",
  "--repo with/parents --hash sha512 images",
  "--repo repo --hash sha512 images",
  "--repo repo --require-verity images",
  "--repo repo cat nothing",
  "--repo nowhere images",
  "--repo root images",
  "--repo repo gc --dry-run",
  "--repo repo gc -n -r nothing",
  "--repo repo gc",
  "--repo repo gc",
  "--repo repo images",
  "--repo repo init --insecure --reset-metadata",
  "--repo repo images",
  "--repo repo gc",
  "--repo repo init --insecure --reset-metadata --algorithm fsverity-sha256-12",
  "--repo repo --hash sha256 compute-id root",
];

/** What a program prints for each line, how it ends, and every file that it leaves. */
function transcript(runLine: (args: string[], cwd: string) => Finished, lines: readonly string[]) {
  const directory = tempDir();
  makeRootfs(join(directory, "root"));
  makeRootfs(join(directory, "bootable"), ["boot", "sysroot"]);
  const parts = lines.map((line) => {
    const { stdout, status } = runLine(words(line), directory);
    return `$ cfsctl ${line}\n${stdout.toString("latin1")}${status === 0 ? "" : `[${status}]\n`}`;
  });
  const files = run("find", ["repo", "with", "-printf", "%M %s %p %l\n"], { cwd: directory });
  return { text: parts.join(""), files: files.stdout.toString().split("\n").sort() };
}

const oursIn = (args: string[], directory: string) =>
  runProgram("cfsctl", args, { cwd: directory });

needs("root").test(
  "cfsctl and a repository: what it prints does not change unseen",
  async () => {
    const { text } = transcript(oursIn, REPOSITORY_LINES);
    await expect(text).toMatchFileSnapshot("cfsctl-repository.txt");
  },
  120_000,
);

describe("cfsctl transaction", () => {
  test("holds the lock until it is interrupted", async () => {
    const directory = tempDir();
    expect(oursIn(["init", "repo", "--insecure"], directory).status).toBe(0);
    const child = spawn(bin("cfsctl"), ["--repo", "repo", "transaction"], { cwd: directory });
    try {
      while (lockOf(join(directory, "repo")) === undefined) await delay(10);
      child.kill("SIGINT");
      const [status] = await once(child, "exit");
      expect(status).toBe(130);
    } finally {
      child.kill("SIGKILL");
    }
  });
});

/** The lock that anybody holds on a directory. */
function lockOf(path: string): string | undefined {
  const { ino } = statSync(path);
  const locks = readFileSync("/proc/locks", "utf8").split("\n");
  return locks.find((line) => line.includes(`FLOCK`) && line.includes(`:${ino} `));
}

needs("root", "mount", "erofs", "overlay").test("cfsctl mount: shows the files", () => {
  const directory = tempDir();
  makeRootfs(join(directory, "root"));
  mkdirSync(join(directory, "mnt"));
  symlinkSync("mnt", join(directory, "link"));
  const repo = ["--repo", "repo"];
  expect(oursIn([...repo, "init", "--insecure"], directory).status).toBe(0);
  expect(oursIn([...repo, "create-image", "root", "base"], directory).status).toBe(0);
  expect(oursIn([...repo, "mount", "base", "mnt", "--fuse", "yes"], directory).status).toBe(1);
  expect(oursIn([...repo, "mount", "nothing", "mnt"], directory).status).toBe(1);
  for (const [name, target] of [
    ["base", "mnt"],
    ["refs/base", "link"],
  ] as const) {
    expect(oursIn([...repo, "mount", name, target], directory)).toMatchObject({
      status: 0,
      stderr: "",
    });
    try {
      const large = readFileSync(join(directory, "mnt/usr/large"));
      expect(large).toEqual(readFileSync(join(directory, "root/usr/large")));
      expect(() => writeFileSync(join(directory, "mnt/new"), "")).toThrow(/EROFS/);
    } finally {
      expect(run("umount", [join(directory, "mnt")]).status).toBe(0);
    }
  }
});

const sideBySide = needsThat(cfsctlMissing);

sideBySide.describe("cfsctl side by side with composefs-rs's", () => {
  test.each(LINES)("%j", (line) => {
    const theirs = runPeer(words(line), { cwd });
    const done = ours(line);
    expect(done.stdout.toString("latin1")).toBe(theirs.stdout.toString("latin1"));
    expect(done.status, done.stderr + theirs.stderr).toBe(theirs.status);
  });

  test("a repository: the same output, and the same files", () => {
    const theirs = transcript((args, at) => runPeer(args, { cwd: at }), REPOSITORY_LINES);
    const done = transcript(oursIn, REPOSITORY_LINES);
    expect(done.text).toBe(theirs.text);
    expect(done.files).toEqual(theirs.files);
  }, 120_000);
});
