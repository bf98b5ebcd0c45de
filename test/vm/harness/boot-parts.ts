/**
 * What the full tier boots: Debian as a composefs image with its objects on an ext4 partition, made by this
 * package in the guest, and an initramfs that mounts it.
 *
 * The initramfs is small, because firmware reads and hashes it slowly: Node and this package are on the
 * partition too, in a disk image with fs-verity whose digest the initramfs knows.
 */

import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { makeDisk } from "./disk.ts";
import { GUEST_SOURCES, GuestTree, Initramfs } from "./initramfs.ts";
import { forgetOld, restore } from "./saved-state.ts";
import type { SavedState } from "./saved-state.ts";
import { findTool, hostTool, setUp, VM_CACHE } from "./setup.ts";
import { addLibraries, addPrograms } from "./states.ts";
import { computedDigest, mountDisks } from "./store.ts";

export interface BootParts {
  /** An ext4 file system: `image.cfs`, `objects/`, `tools`, all with fs-verity. Not to be changed: copy it. */
  readonly root: string;
  /** The digest of the image. */
  readonly digest: string;
  /** The image, for finding its bytes on the disk. */
  readonly image: Uint8Array;
  /** A compressed initramfs that mounts what `composefs=` on the command line names. */
  readonly initramfs: string;
}

const SOURCE_SIZE = "256M";
const TOOLS_SIZE = "160M";
const ROOT_SIZE = "416M";

/** Makes them in the cache, unless they are there for this checkout as it is now. */
export async function bootParts(state: SavedState): Promise<BootParts> {
  const init = join(GUEST_SOURCES, "boot-init.sh");
  // The name of the state stands for all of this package.
  const inputs = [state, setUp().userspace, readFileSync(init, "utf8"), ROOT_SIZE];
  const key = createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 16);
  const parts = join(VM_CACHE, `boot-parts-${key}`);
  if (existsSync(parts)) {
    utimesSync(parts, new Date(), new Date());
  } else {
    forgetOld("boot-parts-");
    const work = mkdtempSync(join(VM_CACHE, "making-boot-parts-"));
    try {
      const tools = join(work, "for-root", "tools");
      mkdirSync(dirname(tools));
      const tree = new GuestTree();
      addPrograms(tree);
      tree.finishAsDisk(tools, TOOLS_SIZE);
      makeInitramfs(init, computedDigest(readFileSync(tools), "sha256"), join(work, "initramfs"));
      await makeRoot(state, work);
      // Another test process may have been quicker.
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

function makeInitramfs(init: string, toolsDigest: string, path: string): void {
  const initramfs = new Initramfs(init);
  addLibraries(initramfs);
  initramfs.copyProgram(findTool("fsverity"), "usr/bin/fsverity");
  initramfs.write("etc/tools-digest", toolsDigest);
  initramfs.link("../../bin/busybox", "usr/bin/env");
  initramfs.link("../../tools/usr/bin/node", "usr/bin/node");
  initramfs.link("../../tools/opt/composefs/bin/mount.composefs", "usr/bin/mount.composefs");
  initramfs.finish(`${path}.cpio`);
  hostTool("zstd", ["--quiet", "-3", "--rm", `${path}.cpio`, "-o", path]);
}

/** Uses `for-root`, what the partition begins with, and leaves `root`, `digest` and `image`. */
async function makeRoot(state: SavedState, work: string): Promise<void> {
  const source = join(work, "source");
  const root = join(work, "root");
  makeDisk(source, "ext4", SOURCE_SIZE, setUp().userspace);
  makeDisk(root, "ext4", ROOT_SIZE, join(work, "for-root"));
  const machine = await restore({
    state,
    disks: [source, root],
    log: join(VM_CACHE, "logs", "making-boot-parts.log"),
    limit: 300_000,
  });
  try {
    await mountDisks(machine);
    await machine.output("mkcomposefs --digest-store=/b/objects /a /b/image.cfs", {
      timeout: 240_000,
    });
    await machine.output("fsverity enable /b/image.cfs && fsverity enable /b/tools");
    const digest = await machine.output("composefs digest /b/image.cfs | cut -d' ' -f1");
    writeFileSync(join(work, "digest"), digest);
    await machine.output("umount /b");
  } finally {
    await machine.powerCut();
  }
  hostTool("debugfs", ["-R", `dump /image.cfs ${join(work, "image")}`, root]);
  rmSync(source);
  rmSync(join(work, "for-root"), { recursive: true });
}
