/**
 * What the full tier boots: Debian as a composefs image with its objects on an ext4 partition, made by this
 * package in the guest, and an initramfs that mounts it.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDisk } from "./disk.ts";
import { GUEST_SOURCES, Initramfs } from "./initramfs.ts";
import { restore } from "./saved-state.ts";
import type { SavedState } from "./saved-state.ts";
import { hostTool, setUp, VM_CACHE } from "./setup.ts";
import { addPackage } from "./states.ts";
import { mountDisks } from "./store.ts";

export interface BootParts {
  /** An ext4 file system with `image.cfs` and `objects/`, all with fs-verity. Not to be changed: copy it. */
  readonly root: string;
  /** The digest of the image. */
  readonly digest: string;
  /** The image, for finding its bytes on the disk. */
  readonly image: Uint8Array;
  /** A compressed initramfs that mounts what `composefs=` on the command line names. */
  readonly initramfs: string;
}

const ROOT_SIZE = "320M";

/** Makes them in the cache, unless they are there for this checkout as it is now. */
export async function bootParts(state: SavedState): Promise<BootParts> {
  const init = join(GUEST_SOURCES, "boot-init.sh");
  // The name of the state stands for all of this package.
  const inputs = JSON.stringify([state, setUp().userspace, ROOT_SIZE, readFileSync(init, "utf8")]);
  const key = createHash("sha256").update(inputs).digest("hex").slice(0, 16);
  const parts = join(VM_CACHE, `boot-parts-${key}`);
  if (!existsSync(parts)) {
    const work = mkdtempSync(join(VM_CACHE, "making-boot-parts-"));
    try {
      makeInitramfs(init, join(work, "initramfs"));
      await makeRoot(state, work);
      if (!existsSync(parts)) renameSync(work, parts);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return {
    root: join(parts, "root"),
    digest: readFileSync(join(parts, "digest"), "utf8"),
    image: readFileSync(join(parts, "image")),
    initramfs: join(parts, "initramfs"),
  };
}

function makeInitramfs(init: string, path: string): void {
  const initramfs = new Initramfs(init);
  addPackage(initramfs);
  initramfs.finish(`${path}.cpio`);
  hostTool("zstd", ["--quiet", "-3", "--threads=0", "--rm", `${path}.cpio`, "-o", path]);
}

async function makeRoot(state: SavedState, work: string): Promise<void> {
  const source = join(work, "source");
  const root = join(work, "root");
  makeDisk(source, "ext4", ROOT_SIZE, setUp().userspace);
  makeDisk(root, "ext4", ROOT_SIZE);
  const machine = await restore({
    state,
    disks: [source, root],
    log: join(VM_CACHE, "logs", "making-boot-parts.log"),
    limit: 180_000,
  });
  try {
    await mountDisks(machine);
    await machine.output("mkcomposefs --digest-store=/b/objects /a /b/image.cfs", {
      timeout: 150_000,
    });
    await machine.output("fsverity enable /b/image.cfs");
    const digest = await machine.output("composefs digest /b/image.cfs | cut -d' ' -f1");
    writeFileSync(join(work, "digest"), digest);
    await machine.output("umount /b");
  } finally {
    await machine.powerCut();
  }
  hostTool("debugfs", ["-R", `dump /image.cfs ${join(work, "image")}`, root]);
  rmSync(source);
}
