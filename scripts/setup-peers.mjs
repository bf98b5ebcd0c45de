/**
 * `npm run setup:peers`: gets podman and skopeo of a Debian that writes and reads zstd:chunked as it is now;
 * those of the machine's own release are often from before tar-split, and then no peer for partial pulls.
 *
 * Both go into the test cache, into a root directory of their own. About 20 s and 260 MB once; then nothing.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { testCache } from "./cache.mjs";
import { privateAptProblem, unpackPackages } from "./private-apt.mjs";

/** What changes here makes a new set-up. */
const SUITE = "trixie";
const PACKAGES = ["podman", "skopeo"];
const KEY = `${SUITE} ${PACKAGES.join(" ")} 1`;

/** Sets the peers up and returns one line that says what was done. Throws where it cannot. */
export function setupPeers() {
  const peers = join(testCache(), "peers");
  const stamp = join(peers, "ready");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === KEY) {
    return `podman and skopeo: ready in ${peers}`;
  }
  const problem = privateAptProblem();
  if (problem !== undefined) throw new Error(problem);

  mkdirSync(testCache(), { recursive: true });
  const work = mkdtempSync(join(testCache(), "peers-"));
  try {
    const directory = join(work, "apt");
    const root = join(work, "root");
    unpackPackages({ directory, suites: [SUITE], packages: PACKAGES, root });
    // Of Debian's package base-files, which nothing depends on.
    for (const name of ["bin", "lib", "lib64", "sbin"]) {
      if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
    }
    rmSync(directory, { recursive: true });
    writeFileSync(join(work, "ready"), KEY);
    rmSync(peers, { recursive: true, force: true });
    renameSync(work, peers);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    throw error;
  }
  return `podman and skopeo: unpacked into ${peers}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    console.log(setupPeers());
  } catch (error) {
    console.error(
      `Cannot set up podman and skopeo: ${error instanceof Error ? error.message : error}`,
    );
    process.exitCode = 1;
  }
}
