/**
 * A real Debian image, pulled from a real registry and mounted: the tree is what `umoci unpack` makes of
 * the same image.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { AT_FDCWD, getXattrAt, listXattrsAt } from "#src/floor/mod.ts";
import { compareTrees } from "../../scripts/compare-trees.mjs";
import { debianImage } from "../support/debian-image.ts";
import { startRegistry } from "../support/docker-registry.ts";
import { needs } from "../support/needs.ts";
import { run } from "../support/run.ts";
import { CHECKOUT } from "../support/shared.ts";
import { tempDir } from "../support/temp.ts";

const MINUTE = 60_000;

/** Xattrs that an image keeps: all that files of this image have. */
function xattrsOf(path: string): string {
  const names = [...listXattrsAt(AT_FDCWD, path)].sort((a, b) => (a < b ? -1 : 1));
  return names
    .map((name) => `${name}=${Buffer.from(getXattrAt(AT_FDCWD, path, name)).toString("hex")}`)
    .join(" ");
}

function must(command: string, ...args: readonly string[]): string {
  const done = run(command, args);
  expect([done.status, done.stderr]).toEqual([0, ""]);
  return done.stdout.toString();
}

const conditional = needs(
  ...(["time", "root", "mount", "erofs", "overlay"] as const),
  ...(["debootstrap", "umoci", "skopeo", "docker-registry", "setcap"] as const),
);

conditional.test(
  "a Debian image of 10,000 files from a registry, mounted, is what umoci unpacks",
  async () => {
    const { image, layout } = debianImage();
    const registry = await startRegistry();
    const target = `docker://${registry.host}/debian:image`;
    must("skopeo", "copy", "-q", "--dest-tls-verify=false", image, target);

    const root = tempDir();
    const repository = join(root, "repository");
    const composefs = join(CHECKOUT, "bin/composefs");
    const repo = `--repo=${repository}`;
    must(composefs, "repo", "init", "--verity=missing-allowed", repository);
    const pulled = JSON.parse(
      must(composefs, "pull", "-q", "--json", repo, "--tls-verify=false", target, "debian"),
    ) as { outcome: string; layers: { isPresent: boolean; entries: number }[] };
    expect(pulled).toMatchObject({ outcome: "pulled" });
    expect(pulled.layers.map(({ isPresent }) => isPresent)).toEqual([false, false]);
    expect(pulled.layers[0]!.entries).toBeGreaterThan(10_000);
    must(composefs, "repo", "fsck", repo);

    const unpacked = join(root, "unpacked");
    const done = run("umoci", ["unpack", "--image", `${layout}:image`, unpacked]);
    expect([done.status, done.stderr]).toEqual([0, ""]);
    const mounted = join(root, "mounted");
    mkdirSync(mounted);
    must(composefs, "mount", repo, "debian", mounted);
    try {
      const { differences, entries } = compareTrees(join(unpacked, "rootfs"), mounted, xattrsOf);
      expect(entries).toBeGreaterThan(10_000);
      // The canonical form: the root is like /usr, and /run, a mount at run time, is empty and as old.
      const others = differences.filter((one) => !/^\/(?:run(?:\/.*)?)?: /.test(one));
      expect(others).toEqual([]);
    } finally {
      run("umount", [mounted]);
    }
  },
  10 * MINUTE,
);
