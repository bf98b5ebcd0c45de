/**
 * The whole way with our commands on a large tree of this machine: same digest as C, `fsck.erofs` silent,
 * and the mounted tree equal to its source.
 */

import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AT_FDCWD, getXattrAt, listXattrsAt } from "#src/floor/mod.ts";
import { compareTrees } from "../../scripts/compare-trees.mjs";
import { needs, needsThat } from "../support/needs.ts";
import { oracle } from "../support/oracle.ts";
import { run } from "../support/run.ts";
import { CHECKOUT } from "../support/shared.ts";
import { tempDir } from "../support/temp.ts";

const MANY = 50_000;
const MINUTE = 60_000;

/** A tree with that many entries, but not for minutes of work. */
function largeTree(): { path: string; entries: number } | undefined {
  for (const path of ["/usr/share", "/usr/lib", "/usr"]) {
    const du = run("du", ["--summarize", "--bytes", "--one-file-system", path]);
    if (Number.parseInt(du.stdout.toString(), 10) > 3e9) continue;
    const entries = readdirSync(path, { recursive: true, encoding: "latin1" }).length;
    if (entries >= MANY) return { path, entries };
  }
  return undefined;
}

/** One text for all xattrs of a path. */
function xattrsOf(path: string): string {
  const names = [...listXattrsAt(AT_FDCWD, path)].sort((a, b) => (a < b ? -1 : 1));
  return names
    .map((name) => `${name}=${Buffer.from(getXattrAt(AT_FDCWD, path, name)).toString("hex")}`)
    .join(" ");
}

function command(name: string, ...args: readonly string[]): string {
  const done = run(join(CHECKOUT, "bin", name), args);
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
  return done.stdout.toString().trim();
}

/** Mounts, compares, unmounts; returns the differences. */
function differencesWhenMounted(source: string, image: string, objects: string): string[] {
  const target = join(tempDir(), "mounted");
  mkdirSync(target);
  command("mount.composefs", "-o", `basedir=${objects}`, image, target);
  try {
    return compareTrees(source, target, xattrsOf).differences;
  } finally {
    run("umount", [target]);
  }
}

const conditional = needs("time", "oracle", "root", "mount", "erofs", "overlay");
conditional.describe("a real tree", () => {
  const found = conditional.reason === undefined ? largeTree() : undefined;
  const missing = found === undefined ? `needs a tree of ${MANY} entries below /usr` : undefined;
  const reason = conditional.reason ?? missing;

  needsThat(reason).describe("of 50,000 entries or more", () => {
    const { path: source, entries } = found ?? { path: "", entries: 0 };
    // In memory: to remove that many synced files from a disk that discards takes a minute.
    const directory = tempDir();
    const image = join(directory, "image.cfs");
    const objects = join(directory, "objects");

    beforeAll(() => {
      const done = run("mount", ["-t", "tmpfs", "-o", "size=4g", "tmpfs", directory]);
      expect(done.status, done.stderr).toBe(0);
    });

    afterAll(() => {
      run("umount", [directory]);
    });

    test(
      "has the digest that C gives it",
      () => {
        expect(entries).toBeGreaterThanOrEqual(MANY);
        const args = ["--print-digest", `--digest-store=${objects}`, source, image];
        const digest = command("mkcomposefs", ...args);
        const theirs = oracle.mkcomposefs(["--print-digest-only", source]);
        expect(digest).toBe(theirs.stdout.toString().trim());
      },
      5 * MINUTE,
    );

    needs("fsck.erofs").test("leaves fsck.erofs nothing to say", () => {
      const done = run("fsck.erofs", [image]);
      expect(done.status, done.stderr).toBe(0);
    });

    test(
      "equals its source when mounted: content, modes, owners, times and xattrs",
      () => {
        // Hard links become files of their own, as in C.
        const differences = differencesWhenMounted(source, image, objects);
        expect(differences.filter((line) => !line.endsWith("hard links differ"))).toEqual([]);
      },
      5 * MINUTE,
    );
  });
});

needs("root", "mount", "erofs", "overlay", "setfattr", "bash").describe(
  "a tree of rarities",
  () => {
    const directory = tempDir();
    const source = join(directory, "source");
    const image = join(directory, "image.cfs");
    const objects = join(directory, "objects");

    const SCRIPT = `
    mkdir -p source/dir && cd source
    head -c 64 /dev/urandom > inline; head -c 65 /dev/urandom > external; head -c 1000000 /dev/urandom > large
    touch empty; truncate -s 200000 holes; ln large dir/hardlink; ln inline dir/inline-link
    ln -s ../large dir/link; ln -s "$(printf 'x%.0s' {1..4000})" long-link; ln long-link same-long-link
    mkfifo fifo; mknod char c 5 1; mknod block b 8 300000
    touch "$(printf 'not-utf8-\\377\\376')" "new
line" "-" "sp ace" 'back\\slash'
    chown 100000:200000 external; chmod 6755 external; chmod 1777 dir; touch -d @-1.5 inline; touch -d @5000000000 large
    setfattr -n user.text -v value large; setfattr -n user.binary -v 0x00ff0a empty
    setfattr -n trusted.foo -v bar dir; setfattr -n user.empty inline; setfattr -h -n trusted.on-link -v 1 long-link
  `;

    test("is made, with hard links kept", () => {
      expect(run("bash", ["--norc", "-euc", SCRIPT], { cwd: directory }).stderr).toBe("");
      command("mkcomposefs", "--hardlinks", `--digest-store=${objects}`, source, image);
      expect(statSync(image).size).toBeGreaterThan(4096);
    });

    test("equals its source when mounted, in everything", () => {
      expect(differencesWhenMounted(source, image, objects)).toEqual([]);
    });
  },
);
