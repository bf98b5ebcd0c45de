/** What `npm run setup:vm` left in the test cache, and how to run the programs of it. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testCache } from "../../../scripts/cache.mjs";
import { runTool, toolEnvironment } from "../../../scripts/vm-tools.mjs";

/** Directories; what is in them is said by the module of `scripts/` that makes each. */
interface Manifest {
  /** Programs for this machine. */
  readonly tools: string;
  /** Debian packages of the guest's suite, unpacked: firmware, loader, kernel. */
  readonly packages: string;
  /** `vmlinux`, `vmlinuz`, `lib/modules/`, `release`. */
  readonly kernel: string;
  /** `code.fd`, `vars.fd`, `secboot-*.fd`, keys, `loader.efi`, `loader-signed.efi`. */
  readonly firmware: string;
  /** A small Debian, as a directory. */
  readonly userspace: string;
}

/** Where states, disks that are costly to make, and logs are kept. */
export const VM_CACHE = join(testCache(), "vm");

let manifest: Manifest | undefined;

/** The directories that the set-up made. Throws before it ran. */
export function setUp(): Manifest {
  manifest ??= JSON.parse(readFileSync(join(VM_CACHE, "manifest.json"), "utf8")) as Manifest;
  return manifest;
}

/** Whether `npm run setup:vm` has run. */
export function isSetUp(): boolean {
  return existsSync(join(VM_CACHE, "manifest.json"));
}

/** Runs a program of this machine or of the set-up and returns its standard output. */
export function hostTool(name: string, args: readonly string[], input?: Uint8Array): Buffer {
  return runTool(setUp().tools, name, args, input === undefined ? {} : { input });
}

/** Where a program lies: of the set-up, or of this machine, which need not be unpacked again. */
export function findTool(name: string): string {
  const { PATH = "" } = toolEnvironment(setUp().tools);
  const found = PATH.split(":").find((directory) => existsSync(join(directory, name)));
  if (found === undefined) throw new Error(`no program "${name}" in the set-up or on this machine`);
  return join(found, name);
}

/** QEMU's options that say where its firmware lies. */
export function firmwareDirectories(): string[] {
  const roots = [setUp().tools, "/"];
  const directories = roots.flatMap((root) =>
    ["qemu", "seabios"].map((name) => join(root, "usr/share", name)),
  );
  return directories.flatMap((path) => (existsSync(path) ? ["-L", path] : []));
}
