/**
 * A real Debian image of more than 10,000 files in two layers: made by `debootstrap` and `umoci`, which
 * takes two minutes, and kept in the cache of the tests.
 */

import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testCache } from "../../scripts/cache.mjs";
import { run } from "./run.ts";

/** Changes when the image changes. */
const NAME = "debian-trixie-oci-1";

/** What brings it over 10,000 files. */
const PACKAGES = "perl,python3,git,vim,iputils-ping";

/** Where the image is. */
export interface DebianImage {
  /** The layout directory. */
  readonly layout: string;
  /** The name of the image in it. */
  readonly image: string;
}

/** Returns the image, and makes it if it is not in the cache. Needs root, a network and the two tools. */
export function debianImage(): DebianImage {
  const directory = testCache();
  const done = join(directory, NAME);
  if (!existsSync(done)) {
    const work = join(directory, `${NAME}.${process.pid}`);
    mkdirSync(work, { recursive: true });
    try {
      build(work);
      renameSync(join(work, "layout"), done);
    } finally {
      must("rm", ["-rf", "--one-file-system", work]);
    }
  }
  return { layout: done, image: `oci:${done}:image` };
}

function build(work: string): void {
  const layout = join(work, "layout");
  const bundle = join(work, "bundle");
  const rootfs = join(bundle, "rootfs");
  must("umoci", ["init", "--layout", layout]);
  must("umoci", ["new", "--image", `${layout}:base`]);
  must("umoci", ["unpack", "--image", `${layout}:base`, bundle]);
  rmSync(rootfs, { recursive: true });
  must("debootstrap", ["--variant=minbase", `--include=${PACKAGES}`, "trixie", rootfs]);
  must("sh", ["-c", `rm -f ${rootfs}/var/cache/apt/archives/*.deb`]);
  must("umoci", ["repack", "--refresh-bundle", "--image", `${layout}:base`, bundle]);
  // A second layer with what a layer can do: hide, replace, add, link, and set xattrs and odd times.
  rmSync(join(rootfs, "usr/share/doc"), { recursive: true });
  mkdirSync(join(rootfs, "usr/share/doc"));
  writeFileSync(join(rootfs, "usr/share/doc/only"), "opaque\n");
  rmSync(join(rootfs, "etc/motd"), { force: true });
  writeFileSync(join(rootfs, "etc/issue"), "another\n".repeat(100));
  must("cp", [join(rootfs, "bin/true"), join(rootfs, "usr/bin/capable")]);
  must("setcap", ["cap_net_raw=ep", join(rootfs, "usr/bin/capable")]);
  must("ln", [join(rootfs, "usr/bin/capable"), join(rootfs, "usr/bin/capable-too")]);
  must("touch", ["-d", "1969-12-31T23:59:58.25Z", join(rootfs, "usr/bin/capable")]);
  must("umoci", ["repack", "--image", `${layout}:image`, bundle]);
  must("umoci", ["gc", "--layout", layout]);
}

function must(command: string, args: readonly string[]): void {
  const { status, stderr, stdout } = run(command, args);
  if (status === 0) return;
  throw new Error(`${command} ${args.join(" ")}: ${stderr}${stdout.toString().slice(-1000)}`);
}
