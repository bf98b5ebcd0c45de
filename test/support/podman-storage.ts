/** Storages of podman's in directories of their own. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll } from "vitest";
import { run } from "./run.ts";
import { tempDir } from "./temp.ts";

/** One storage. */
export interface PodmanStorage {
  readonly driver: "overlay" | "vfs";
  readonly root: string;
  readonly runRoot: string;
  /** What stands in front of a name of an image in it. */
  readonly prefix: string;
  podman(...args: string[]): string;
  /** Pulls an image from a layout that lies in a directory of its own; returns its ID. */
  pull(directory: string, layout: string): string;
}

const made: string[] = [];

// podman makes the root a mount of its own; it has to go before the directory can.
afterAll(() => {
  for (const root of made) {
    spawnSync("umount", ["--quiet", "--lazy", join(root, "overlay")], { stdio: "ignore" });
  }
  made.length = 0;
});

/** Makes an empty storage. */
export function makePodmanStorage(driver: "overlay" | "vfs" = "overlay"): PodmanStorage {
  const directory = tempDir();
  const [root, runRoot] = [join(directory, "root"), join(directory, "run")];
  made.push(root);
  const podman = (args: readonly string[], cwd = directory): string => {
    const global = ["--root", root, "--runroot", runRoot, "--storage-driver", driver];
    const done = run("podman", [...global, ...args], { cwd });
    if (done.status !== 0) throw new Error(`podman ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.toString().trim();
  };
  return {
    driver,
    root,
    runRoot,
    prefix: `containers-storage:[${driver}@${root}+${runRoot}]`,
    podman: (...args) => podman(args),
    // By a relative path: podman makes it part of a name, which has to be in lower case.
    pull: (parent, layout) => podman(["pull", "--quiet", `oci:${layout}`], parent),
  };
}
