import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import {
  byteString,
  chooseFormatVersion,
  computeFsVerityDigest,
  validateTree,
  writeImage,
} from "#src/core/mod.ts";
import { blockHash } from "#src/floor/mod.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import type { ScanOptions } from "#src/sources/mod.ts";
import { needs } from "../../support/needs.ts";
import { oracle } from "../../support/oracle.ts";
import { filesBelow, must, nodePath, noise, roomyTempDir, setXattr } from "./support.ts";

async function digestOf(dir: string, options: ScanOptions = {}): Promise<string> {
  const { root } = await scanDirectory(byteString(dir), options);
  const tree = validateTree(root);
  const version = chooseFormatVersion(tree, { minVersion: 0, maxVersion: 1 });
  const image = writeImage(tree, { version });
  return computeFsVerityDigest(image, blockHash("sha256"));
}

function oracleDigestOf(dir: string, ...args: string[]): string {
  const done = oracle.mkcomposefs([...args, "--print-digest-only", dir]);
  expect(done.stderr).toBe("");
  return done.stdout.toString().trim();
}

/** One of everything. */
function oddTree(): string {
  const dir = roomyTempDir();
  for (const size of [0, 1, 64, 65, 4096, 4097, 600_000, 9_000_000]) {
    writeFileSync(join(dir, `${size}`), noise(size, size));
  }
  writeFileSync(nodePath(`${dir}/\xff\n`), "x");
  symlinkSync("nowhere", join(dir, "link"));
  must("ln", join(dir, "65"), join(dir, "hardlink"));
  must("mkfifo", join(dir, "fifo"));
  must("mknod", join(dir, "null"), "c", "1", "3");
  must("mknod", join(dir, "disk"), "b", "259", "70000");
  must("mknod", join(dir, "whiteout"), "c", "0", "0");
  must("touch", "-d", "1965-03-04 05:06:07.123456789 UTC", join(dir, "4096"));
  must("chown", "70000:80000", join(dir, "4097"));
  setXattr(join(dir, "4097"), "user.binary", noise(300, 1));
  setXattr(join(dir, "4097"), "trusted.overlay.opaque", Buffer.from("y"));
  setXattr(join(dir, "link"), "trusted.link", Buffer.of(0));
  return dir;
}

const odd = needs("oracle", "root", "setfattr");

for (const [flag, options] of [
  [undefined, {}],
  ["--use-epoch", { useEpoch: true }],
  ["--skip-devices", { skipDevices: true }],
  ["--skip-xattrs", { skipXattrs: true }],
  ["--user-xattrs", { userXattrs: true }],
  ["--threads=1", { threads: 1 }],
] as const) {
  odd.test(`scanDirectory: a tree of everything has C's digest, ${flag ?? "plain"}`, async () => {
    const dir = oddTree();
    const args = flag === undefined ? [] : [flag];
    expect(await digestOf(dir, options)).toBe(oracleDigestOf(dir, ...args));
  });
}

needs("oracle").test("scanDirectory: a real tree has C's digest and C's objects", async () => {
  const dir = "/usr/share/perl";
  const ours = join(roomyTempDir(), "store");
  const theirs = join(roomyTempDir(), "store");
  const want = oracleDigestOf(dir);
  expect(await digestOf(dir, { digestStore: byteString(ours) })).toBe(want);
  const image = join(roomyTempDir(), "image");
  expect(oracle.mkcomposefs([`--digest-store=${theirs}`, dir, image]).stderr).toBe("");
  expect(filesBelow(ours)).toEqual(filesBelow(theirs));
});
