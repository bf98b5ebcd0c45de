/**
 * podman and skopeo of a Debian that knows zstd:chunked with tar-split, in a root directory of their own:
 * `npm run setup:peers` makes it.
 */

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { testCache } from "../../scripts/cache.mjs";
import { oracleCommand } from "./oracle.ts";
import { run } from "./run.ts";
import type { Finished } from "./run.ts";

/** The root directory with both, or `undefined`. */
export function findPeers(): string | undefined {
  const root = join(testCache(), "peers", "root");
  return existsSync(join(root, "usr/bin/skopeo")) ? root : undefined;
}

/** Runs skopeo, for which signatures do not count. Throws what it printed when it fails. */
export function peerSkopeo(...args: string[]): Finished {
  const [loader, ...words] = oracleCommand(peersRoot(), "skopeo");
  const done = run(loader!, [...words, "--insecure-policy", ...args]);
  if (done.status !== 0) throw new Error(`skopeo ${args.join(" ")}: ${done.stderr}`);
  return done;
}

/** Runs in a mount namespace of its own: the peers' root, with what a program needs below it, and the storage. */
const IN_ROOT = `
set -e
root=$1 storage=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$storage" "$root/mnt"
exec env -i PATH=/usr/bin:/usr/sbin HOME=/mnt CONTAINERS_STORAGE_CONF=/mnt/storage.conf \\
  /usr/sbin/chroot "$root" "$@"
`;

/**
 * Copies an image of a registry without TLS into a containers-storage below `directory`, with partial pulls
 * on, as podman would. Needs root and mounts. Returns the debug log; throws it when it fails.
 */
export async function pullIntoPeerStorage(directory: string, image: string): Promise<string> {
  const root = peersRoot();
  for (const name of ["proc", "dev", "mnt", "tmp", "var/tmp", "run"]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  const conf = [
    "[storage]",
    'driver = "overlay"',
    'graphroot = "/mnt/graph"',
    'runroot = "/mnt/run"',
    "[storage.options.pull_options]",
    'enable_partial_images = "true"',
    "",
  ];
  writeFileSync(join(directory, "storage.conf"), conf.join("\n"));
  const args = ["--debug", "--insecure-policy", "copy", "--src-tls-verify=false"];
  const names = [`docker://${image}`, `containers-storage:${image.slice(image.indexOf("/") + 1)}`];
  const script = ["--mount", "sh", "-c", IN_ROOT, "sh", root, directory];
  const { stderr } = await promisify(execFile)(
    "unshare",
    [...script, "skopeo", ...args, ...names],
    {
      maxBuffer: 2 ** 28,
    },
  );
  return stderr;
}

function peersRoot(): string {
  const root = findPeers();
  if (root === undefined) throw new Error("podman and skopeo are not set up");
  return root;
}
