/** The two saved states, and what is in their memory. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CHECKOUT } from "../../support/shared.ts";
import { GUEST_SOURCES, Initramfs } from "./initramfs.ts";
import type { GuestTree } from "./initramfs.ts";
import { forgetOld, savedState } from "./saved-state.ts";
import type { SavedState } from "./saved-state.ts";
import { findTool, VM_CACHE } from "./setup.ts";

/** Programs of the tests, in `/opt` of the machine. */
const SCRIPTS = [
  "check-repository.mjs",
  "check-store.mjs",
  "fill-repository.mjs",
  "programs.mjs",
  "use-repository.mjs",
];

/** Those of this package that are started beforehand: test/vm/guest/programs.mjs. */
const STARTED = ["composefs", "mkcomposefs", "mount.composefs"];

/** Which saved state: busybox alone, or with Node and this package's command line too. */
export type StateName = "bare" | "node";

/** Makes both states, unless they are there for this checkout as it is now. */
export async function prepareStates(): Promise<Record<StateName, SavedState>> {
  if (!existsSync(join(CHECKOUT, "dist/cli/main.js"))) {
    throw new Error("What is tested is not built: run `npm run build` first");
  }
  // What an interrupted run left.
  forgetOld("making-");
  const work = mkdtempSync(join(VM_CACHE, "making-archives-"));
  try {
    const archive = (name: StateName): string => join(work, name);
    bareInitramfs().finish(archive("bare"));
    const node = bareInitramfs();
    addPackage(node);
    node.write("etc/warm", guestScript("warm.sh"));
    for (const script of SCRIPTS) node.copy(join(GUEST_SOURCES, script), `opt/${script}`);
    node.finish(archive("node"));
    return {
      bare: await savedState("bare", archive("bare")),
      node: await savedState("node", archive("node")),
    };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Busybox, the modules, and Debian's `fsverity`, as a second opinion on what the kernel measures. */
function bareInitramfs(): Initramfs {
  const initramfs = new Initramfs(join(GUEST_SOURCES, "init.sh"));
  initramfs.copyProgram(findTool("fsverity"), "usr/bin/fsverity");
  return initramfs;
}

/** Adds Node and this package as it is installed, with the libraries that they ask for. */
export function addPackage(initramfs: Initramfs): void {
  addLibraries(initramfs);
  addPrograms(initramfs);
  initramfs.link("../../bin/busybox", "usr/bin/env");
  for (const [name, path] of Object.entries(packageJson().bin)) {
    if (STARTED.includes(name)) initramfs.write(`usr/bin/${name}`, guestScript("program.sh"));
    else initramfs.link(`../../opt/composefs/${path}`, `usr/bin/${name}`);
  }
}

/** The shared libraries of Node and of koffi. */
export function addLibraries(tree: GuestTree): void {
  tree.copyLibraries(process.execPath);
}

/** Node, and `bin`, `dist`, `native` and what this package depends on, in `opt/composefs`. */
export function addPrograms(tree: GuestTree): void {
  tree.copy(process.execPath, "usr/bin/node");
  for (const part of ["package.json", "bin", "dist", "native"]) {
    tree.copy(join(CHECKOUT, part), `opt/composefs/${part}`);
  }
  // koffi's compiled part is a package of its own for each architecture.
  for (const name of [...Object.keys(packageJson().dependencies), "@koromix/koffi-linux-x64"]) {
    const path = `node_modules/${name}`;
    tree.copy(join(CHECKOUT, path), `opt/composefs/${path}`);
  }
}

function guestScript(name: string): string {
  return readFileSync(join(GUEST_SOURCES, name), "utf8");
}

function packageJson(): {
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
} {
  return JSON.parse(readFileSync(join(CHECKOUT, "package.json"), "utf8"));
}
