/**
 * podman and skopeo of a Debian that knows zstd:chunked with tar-split, in a root directory of their own:
 * `npm run setup:peers` makes it.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
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

function peersRoot(): string {
  const root = findPeers();
  if (root === undefined) throw new Error("podman and skopeo are not set up");
  return root;
}
