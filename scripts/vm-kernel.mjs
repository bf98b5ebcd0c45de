/**
 * The guest's kernel in the forms that the tests boot: `vmlinuz` as packaged, for boot loaders; `vmlinux`,
 * the ELF file inside it, which QEMU starts at once; `modules/`, the few modules that are needed,
 * decompressed and with `modules.dep`; `release`.
 */

import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runTool } from "./vm-tools.mjs";

const MODULES = ["btrfs", "erofs", "loop", "overlay", "virtio_blk"];

/** @param {{ tools: string, packages: string, root: string }} request */
export function unpackKernel({ tools, packages, root }) {
  const releases = readdirSync(join(packages, "usr/lib/modules"));
  const [release, another] = releases;
  if (release === undefined || another !== undefined) {
    throw new Error(`want one kernel, the packages have ${releases.length}: ${releases.join(" ")}`);
  }
  writeFileSync(join(root, "release"), release);
  copyFileSync(join(packages, "boot", `vmlinuz-${release}`), join(root, "vmlinuz"));
  writeFileSync(join(root, "vmlinux"), kernelInside(tools, readFileSync(join(root, "vmlinuz"))));

  runTool(tools, "depmod", ["--basedir", join(packages, "usr"), release]);
  const installed = join(packages, "usr/lib/modules", release);
  const kept = join(root, "lib/modules", release);
  for (const path of moduleFiles(readFileSync(join(installed, "modules.dep"), "utf8"))) {
    const target = join(kept, path.replace(/\.xz$/, ""));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, runTool(tools, "xz", ["-dc", join(installed, path)]));
  }
  for (const list of ["modules.order", "modules.builtin", "modules.builtin.modinfo"]) {
    copyFileSync(join(installed, list), join(kept, list));
  }
  runTool(tools, "depmod", ["--basedir", root, release]);
}

/**
 * The kernel's ELF file. Source: Linux Documentation/arch/x86/boot.rst, `setup_sects`, `payload_offset`,
 * `payload_length`; the payload ends with its decompressed size, which is none of zstd's business.
 *
 * @param {string} tools
 * @param {Buffer} image
 */
function kernelInside(tools, image) {
  const setupSectors = image.readUInt8(0x1f1);
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  return runTool(tools, "zstd", ["-dc"], { input: payload });
}

/**
 * The files of the wanted modules and of all that they depend on.
 *
 * @param {string} modulesDep
 */
function moduleFiles(modulesDep) {
  const files = new Set();
  for (const line of modulesDep.split("\n")) {
    const [path, dependencies] = line.split(":");
    const name = path?.match(/([^/]+)\.ko/)?.[1];
    if (path === undefined || name === undefined || !MODULES.includes(name)) continue;
    for (const file of [path, ...(dependencies ?? "").split(" ")]) if (file !== "") files.add(file);
  }
  return files;
}
