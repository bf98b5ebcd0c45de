/** What the guest runs from: root file systems in memory, and trees for its disks. */

import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { makeDisk } from "./disk.ts";
import { findTool, hostTool, setUp, VM_CACHE } from "./setup.ts";

export const GUEST_SOURCES = resolve(import.meta.dirname, "../guest");

/** `a`, `b`, `mnt`: where tests mount disks and images. */
const DIRECTORIES = ["proc", "sys", "dev", "tmp", "run", "etc", "root", "usr/bin", "a", "b", "mnt"];

/** A file tree of the guest that grows, and becomes an archive or a disk. */
export class GuestTree {
  protected readonly root = mkdtempSync(join(VM_CACHE, "making-tree-"));

  /** Copies a file or directory of this machine; `target` has no leading slash. */
  copy(source: string, target: string): void {
    mkdirSync(dirname(join(this.root, target)), { recursive: true });
    cpSync(source, join(this.root, target), { recursive: true, dereference: true });
  }

  write(target: string, text: string, mode = 0o755): void {
    mkdirSync(dirname(join(this.root, target)), { recursive: true });
    writeFileSync(join(this.root, target), text, { mode });
  }

  /** Copies a program with the shared libraries that it asks for. */
  copyProgram(source: string, target: string): void {
    this.copy(source, target);
    this.copyLibraries(source);
  }

  /** Copies the shared libraries that a program or library asks for. */
  copyLibraries(source: string): void {
    for (const [, path] of hostTool("sh", ["-c", 'ldd "$1" || :', "sh", source])
      .toString()
      .matchAll(/(\/\S+) \(0x/g)) {
      if (path === undefined) continue;
      const isLoader = path.includes("/ld-linux");
      const target = isLoader ? path.slice(1) : `lib/x86_64-linux-gnu/${path.split("/").at(-1)}`;
      this.copy(path, target);
    }
  }

  link(target: string, path: string): void {
    symlinkSync(target, join(this.root, path));
  }

  /** Makes an ext4 disk of it, and removes the tree. */
  finishAsDisk(path: string, size: string): void {
    makeDisk(path, "ext4", size, this.root);
    rmSync(this.root, { recursive: true });
  }
}

/** A root file system in memory: busybox, the few modules, the agent and a first process. */
export class Initramfs extends GuestTree {
  constructor(init: string) {
    super();
    const { kernel } = setUp();
    for (const directory of DIRECTORIES) {
      mkdirSync(join(this.root, directory), { recursive: true });
    }
    this.copyProgram(findTool("busybox"), "bin/busybox");
    for (const applet of hostTool("busybox", ["--list"]).toString().trim().split("\n")) {
      if (applet !== "busybox") symlinkSync("busybox", join(this.root, "bin", applet));
    }
    this.copy(join(kernel, "lib"), "lib");
    this.copy(join(GUEST_SOURCES, "agent.sh"), "agent");
    this.copy(init, "init");
    chmodSync(join(this.root, "agent"), 0o755);
    chmodSync(join(this.root, "init"), 0o755);
  }

  /** Writes the archive, the same for the same files, and removes the tree. */
  finish(path: string): void {
    hostTool("sh", [
      "-c",
      `cd "$1" && find . -exec touch --no-dereference --date=@0 {} + && find . -print0 | LC_ALL=C sort -z |
       cpio --null --create --quiet --format=newc --reproducible --owner=0:0 >"$2"`,
      "sh",
      this.root,
      path,
    ]);
    rmSync(this.root, { recursive: true });
  }
}
