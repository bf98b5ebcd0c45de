import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import { needs, needsThat } from "../../support/needs.ts";
import { tempDir } from "../../support/temp.ts";
import { filesBelow, must, noise, problemsOfStore } from "./support.ts";

const LARGE = (1 << 23) + 12345;

const mounted: string[] = [];
afterAll(() => {
  for (const path of mounted) must("umount", path);
});

/** A file system with reflinks, in a file. */
function makeXfs(): string {
  const dir = tempDir();
  writeFileSync(join(dir, "disk"), "");
  truncateSync(join(dir, "disk"), 400 << 20);
  must("mkfs.xfs", "-q", "-m", "reflink=1", join(dir, "disk"));
  mkdirSync(join(dir, "xfs"));
  must("mount", "-o", "loop", join(dir, "disk"), join(dir, "xfs"));
  mounted.push(join(dir, "xfs"));
  return join(dir, "xfs");
}

/** Why not, if not. */
function missing(): string | undefined {
  const has = ["/usr/sbin/mkfs.xfs", "/sbin/mkfs.xfs"].some((path) => existsSync(path));
  if (!has) return "needs mkfs.xfs (Debian package xfsprogs)";
  return needs("root", "mount", "loop").reason;
}

needsThat(missing()).test(
  "scanDirectory: objects share the extents of their files where the file system can",
  async () => {
    const xfs = makeXfs();
    const dir = join(xfs, "tree");
    mkdirSync(dir);
    for (const size of [65, 5000, 600_000, LARGE]) {
      writeFileSync(join(dir, `${size}`), noise(size, size));
    }
    must("sync", "-f", dir);
    const digestStore = byteString(join(xfs, "store"));
    // An empty store and one that has objects already are filled in two ways.
    for (const round of [0, 1]) {
      await scanDirectory(byteString(dir), { digestStore, threads: 1 });
      expect(problemsOfStore(digestStore)).toEqual([]);
      expect(filesBelow(digestStore)).toHaveLength(4 + 3 * round);
      for (const name of filesBelow(digestStore)) {
        const map = spawnSync("filefrag", ["-v", join(digestStore, name)]).stdout.toString();
        expect(map).toContain("shared");
      }
      for (const size of [5000, 600_000, LARGE]) {
        writeFileSync(join(dir, `more ${size}`), noise(size, size + 1));
      }
      must("sync", "-f", dir);
    }
  },
);
