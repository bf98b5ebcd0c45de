import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import type { ScanResult } from "#src/sources/mod.ts";
import { needs } from "../../support/needs.ts";
import { tempDir } from "../../support/temp.ts";
import { digestOfFile, filesBelow, must, noise, problemsOfStore, roomyTempDir } from "./support.ts";

const LARGE = (1 << 23) + 12345;

async function fill(dir: string, store: string, threads = 1): Promise<ScanResult> {
  return scanDirectory(byteString(dir), { digestStore: byteString(store), threads });
}

/** A tree with one file for each way of reading, each of them twice. */
function tree(): string {
  const dir = roomyTempDir();
  for (const [index, size] of [65, 4096, 600_000, LARGE].entries()) {
    writeFileSync(join(dir, `${index}a`), noise(size, size));
    writeFileSync(join(dir, `${index}b`), noise(size, size));
  }
  writeFileSync(join(dir, "inline"), noise(64, 1));
  writeFileSync(join(dir, "empty"), "");
  return dir;
}

describe("scanDirectory with a store", () => {
  test("every external file is an object of its digest, with mode 0644, once", async () => {
    const dir = tree();
    chmodSync(join(dir, "0a"), 0o600);
    const store = join(tempDir(), "not/there/yet");
    const { counts } = await fill(dir, store);
    expect(counts).toEqual({
      directories: 1,
      leaves: 10,
      externalFiles: 8,
      externalBytes: 2 * (65 + 4096 + 600_000 + LARGE),
      objects: 4,
      objectBytes: 65 + 4096 + 600_000 + LARGE,
      newObjects: 4,
      newObjectBytes: 65 + 4096 + 600_000 + LARGE,
    });
    expect(filesBelow(store)).toHaveLength(4);
    expect(problemsOfStore(store)).toEqual([]);
    expect(statSync(store).mode & 0o777).toBe(0o755 & ~process.umask());
  });

  test("what is in the store is not written again; what is missing is added", async () => {
    const dir = tree();
    const store = join(tempDir(), "store");
    await fill(dir, store);
    const inodes = filesBelow(store).map((name) => statSync(join(store, name)).ino);
    expect((await fill(dir, store)).counts).toMatchObject({ objects: 4, newObjects: 0 });
    expect(filesBelow(store).map((name) => statSync(join(store, name)).ino)).toEqual(inodes);
    writeFileSync(join(dir, "new"), noise(LARGE, 5));
    writeFileSync(join(dir, "new too"), noise(5000, 5));
    expect((await fill(dir, store)).counts).toMatchObject({
      objects: 6,
      newObjects: 2,
      newObjectBytes: LARGE + 5000,
    });
    expect(problemsOfStore(store)).toEqual([]);
  });

  test("the umask does not matter for objects", async () => {
    const dir = tree();
    const store = join(tempDir(), "store");
    const umask = process.umask(0o077);
    try {
      await fill(dir, store);
    } finally {
      process.umask(umask);
    }
    expect(problemsOfStore(store)).toEqual([]);
  });

  test("several processes fill one store at a time", async () => {
    const dir = roomyTempDir();
    for (let i = 0; i < 300; i++) writeFileSync(join(dir, `${i}`), noise(100 + 40 * i, i));
    const store = join(roomyTempDir(), "store");
    const door = new URL("../../../dist/sources/mod.js", import.meta.url).href;
    const script = `
      import { scanDirectory } from ${JSON.stringify(door)};
      await scanDirectory(${JSON.stringify(dir)}, { digestStore: ${JSON.stringify(store)}, threads: 2 });`;
    const args = ["--input-type=module", "-e", script];
    const all = spawnSync("bash", [
      "-c",
      `for i in 1 2 3; do "$@" & pids="$pids $!"; done; for p in $pids; do wait $p || exit 1; done`,
      "-",
      process.execPath,
      ...args,
    ]);
    expect(all.stderr.toString()).toBe("");
    expect(all.status).toBe(0);
    expect(filesBelow(store)).toHaveLength(300);
    expect(problemsOfStore(store)).toEqual([]);
  });

  test("more objects than may be open at a time are stored in groups", () => {
    const dir = roomyTempDir();
    for (let i = 0; i < 1000; i++) writeFileSync(join(dir, `${i}`), noise(100 + i, i));
    const store = join(roomyTempDir(), "store");
    const door = new URL("../../../dist/sources/mod.js", import.meta.url).href;
    const script = `
      import { scanDirectory } from ${JSON.stringify(door)};
      await scanDirectory(${JSON.stringify(dir)}, { digestStore: ${JSON.stringify(store)} });`;
    const command = [process.execPath, "--input-type=module", "-e", script];
    const done = spawnSync("bash", ["-c", `ulimit -n 256; exec "$@"`, "-", ...command]);
    expect(done.stderr.toString()).toBe("");
    expect(filesBelow(store)).toHaveLength(1000);
    expect(problemsOfStore(store)).toEqual([]);
  });
});

describe("scanDirectory with a store that is none", () => {
  test("a symlink in the place of the store is refused, with or without a slash", async () => {
    const dir = tree();
    const parent = tempDir();
    mkdirSync(join(parent, "real"));
    symlinkSync("real", join(parent, "link"));
    for (const store of [join(parent, "link"), `${parent}/link/`, `${parent}/link//`]) {
      await expect(fill(dir, store)).rejects.toMatchObject({
        code: "store-failed",
        message: `Cannot store objects in "${parent}/link": it is a symlink`,
      });
    }
    expect(readdirSync(join(parent, "real"))).toEqual([]);
  });

  test("a file in the place of the store, or above it, is refused", async () => {
    const parent = tempDir();
    writeFileSync(join(parent, "file"), "x");
    for (const store of [join(parent, "file"), join(parent, "file/store")]) {
      await expect(fill(tree(), store)).rejects.toMatchObject({ code: "store-failed" });
    }
    expect(readdirSync(parent)).toEqual(["file"]);
  });

  test("an object of a wrong size is reported, not used", async () => {
    const dir = tree();
    const store = join(tempDir(), "store");
    await fill(dir, store);
    const digest = digestOfFile(join(dir, "1a"));
    const path = `${digest.slice(0, 2)}/${digest.slice(2)}`;
    writeFileSync(join(store, path), "short");
    await expect(fill(dir, store)).rejects.toMatchObject({
      code: "store-failed",
      message: expect.stringContaining(
        `object ${path} is corrupt: it has 5 bytes instead of 4096`,
      ) as string,
      hint: "remove it, and the next run will write it anew",
    });
  });

  test("an object that is a directory or a symlink is reported", async () => {
    const dir = tree();
    const store = join(tempDir(), "store");
    await fill(dir, store);
    const digest = digestOfFile(join(dir, "1a"));
    const path = join(store, digest.slice(0, 2), digest.slice(2));
    renameSync(path, join(store, "elsewhere"));
    symlinkSync(join(store, "elsewhere"), path);
    await expect(fill(dir, store)).rejects.toThrow("is not a regular file");
  });

  test("a symlink in the place of XX is refused", async () => {
    const dir = roomyTempDir();
    writeFileSync(join(dir, "f"), noise(100, 1));
    const parent = tempDir();
    const prefix = digestOfFile(join(dir, "f")).slice(0, 2);
    mkdirSync(join(parent, "store"));
    mkdirSync(join(parent, "elsewhere"));
    symlinkSync("../elsewhere", join(parent, "store", prefix));
    await expect(fill(dir, join(parent, "store"))).rejects.toThrow(`"${prefix}" in it is not a`);
    expect(readdirSync(join(parent, "elsewhere"))).toEqual([]);
  });
});

describe("scanDirectory with a full disk", () => {
  const mounted: string[] = [];
  afterAll(() => {
    for (const path of mounted) must("umount", path);
  });

  for (const files of [1, 400]) {
    needs("root", "mount").test(`${files} objects that do not fit leave nothing`, async () => {
      const disk = join(tempDir(), "disk");
      mkdirSync(disk);
      must("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk);
      mounted.push(disk);
      const dir = roomyTempDir();
      const size = Math.ceil(LARGE / files);
      for (let i = 0; i < files; i++) writeFileSync(join(dir, `${i}`), noise(size, i));
      await expect(fill(dir, join(disk, "store"), 2)).rejects.toMatchObject({
        code: "store-failed",
        message: `Cannot store objects in "${disk}/store": write: no space left on device (ENOSPC)`,
        hint: "make room on its file system",
      });
      expect(existsSync(join(disk, "store"))).toBe(false);
      const used = spawnSync("df", ["--output=used", disk]).stdout.toString();
      expect(used.trim().split("\n")[1]?.trim()).toBe("0");
    });
  }
});
