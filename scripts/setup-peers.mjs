/**
 * `npm run setup:peers`: gets podman and skopeo of a Debian that writes and reads zstd:chunked as it is now;
 * those of the machine's own release are often from before tar-split, and then no peer for partial pulls.
 *
 * Both go into the test cache, into a root directory of their own. About 20 s and 260 MB once; then nothing.
 */

import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { runIfProgram, setUpOnce } from "./cached-setup.mjs";
import { unpackPackages } from "./private-apt.mjs";

const SUITE = "trixie";
const PACKAGES = ["podman", "skopeo"];
const PEERS = {
  what: "podman and skopeo",
  name: "peers",
  key: `${SUITE} ${PACKAGES.join(" ")} 1`,
};

/** Sets the peers up and returns one line that says what was done. Throws where it cannot. */
export function setupPeers() {
  return setUpOnce(PEERS, (work, directory) => {
    const root = join(work, "root");
    unpackPackages({ directory, suites: [SUITE], packages: PACKAGES, root });
    // Of Debian's package base-files, which nothing depends on.
    for (const name of ["bin", "lib", "lib64", "sbin"]) {
      if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
    }
  });
}

runIfProgram(import.meta.url, PEERS.what, setupPeers);
