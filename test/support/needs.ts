/**
 * Tests that need more than this process: root, a kernel feature, a tool, a peer's binary.
 *
 *     const mounting = needs("root", "erofs", "overlay");
 *     mounting.describe("mountComposefs", () => { test("…", …) });
 *     mounting.test("mountComposefs: shows the same files", …);
 *
 * A test whose needs are not met is skipped, and its reason goes with it to the reporter, which prints it
 * last. With `REQUIRE=all` a need that this machine could have met (a package not installed, an oracle not
 * set up) fails the test instead: only what the machine itself lacks may then be skipped.
 */

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { describe, test } from "vitest";
import type { TestContext } from "vitest";
import { findSharedVectors } from "./shared.ts";
import { findCSource } from "./c-source.ts";
import { findOracle } from "./oracle.ts";
import { findPeers } from "./peers.ts";

declare module "vitest" {
  interface TaskMeta {
    /** Why a test was skipped; see test/support/reporter.ts. */
    skipReason?: string;
  }
}

/** Why a need is not met, and whether this machine could meet it if it were set up. */
interface Missing {
  readonly reason: string;
  readonly obtainable: boolean;
}

type Probe = () => Missing | undefined;

const lacking = (reason: string): Missing => ({ reason, obtainable: false });
/** What `npm test` installs where it may: on Debian as root. */
const notInstalled = (reason: string): Missing => ({ reason, obtainable: isRoot && isDebian });

const isRoot = process.getuid?.() === 0;
const isDebian = existsSync("/etc/debian_version");

const PROBES = {
  /** Time: more than a few seconds on two processors. */
  time: () =>
    process.env["COMPOSEFS_TEST_FAST"] === "1"
      ? lacking("takes long, and COMPOSEFS_TEST_FAST leaves that out")
      : undefined,
  /** To be root. */
  root: () => (isRoot ? undefined : lacking("needs root")),
  /** To be a plain user: what root may do anyway cannot be tested as root. */
  "plain user": () => (isRoot ? lacking("needs a plain user, not root") : undefined),
  /** To be allowed to mount; root in a container often is not. */
  mount: () =>
    succeeds("unshare", ["--mount", "true"]) ? undefined : lacking("needs to be allowed to mount"),
  erofs: () => fileSystem("erofs"),
  overlay: () => fileSystem("overlay"),
  ext4: () => fileSystem("ext4"),
  loop: () => (isUsable("/dev/loop-control") ? undefined : lacking("needs loop devices")),
  "user namespaces": () =>
    succeeds("unshare", ["--user", "--map-root-user", "true"])
      ? undefined
      : lacking("needs user namespaces"),
  /** The C project's own mkcomposefs and composefs-info: `npm run setup:oracle`. */
  oracle: () => {
    if (findOracle() !== undefined) return undefined;
    const reason = "needs the C tools: run `npm run setup:oracle`, or set COMPOSEFS_ORACLE";
    return { reason, obtainable: isDebian };
  },
  /** The C project's source, for its test scripts: `npm run setup:oracle`. */
  "C source": () => {
    if (findCSource() !== undefined) return undefined;
    const reason =
      "needs the C project's source: run `npm run setup:oracle`, or set COMPOSEFS_C_SOURCE";
    return { reason, obtainable: isDebian };
  },
  /** podman and skopeo that know zstd:chunked as it is now: `npm run setup:peers`. */
  peers: () => {
    if (findPeers() !== undefined) return undefined;
    return { reason: "needs podman and skopeo: run `npm run setup:peers`", obtainable: isDebian };
  },
  /** The conformance vectors that lie beside the checkout. */
  vectors: () =>
    findSharedVectors() === undefined
      ? lacking("needs the conformance vectors: ../shared/vectors, or set COMPOSEFS_SHARED")
      : undefined,
  "fsck.erofs": () => tool("fsck.erofs", "erofs-utils"),
  "dump.erofs": () => tool("dump.erofs", "erofs-utils"),
  "mkfs.erofs": () => tool("mkfs.erofs", "erofs-utils"),
  "mkfs.ext4": () => tool("mkfs.ext4", "e2fsprogs"),
  setfattr: () => tool("setfattr", "attr"),
  fsverity: () => tool("fsverity", "fsverity"),
  python3: () => tool("python3", "python3"),
  bash: () => tool("bash", "bash"),
  zstd: () => tool("zstd", "zstd"),
  man: () => tool("mandoc", "mandoc"),
  zsh: () => tool("zsh", "zsh"),
  fish: () => tool("fish", "fish"),
  script: () => tool("script", "bsdutils"),
  "docker-registry": () => tool("docker-registry", "docker-registry"),
  htpasswd: () => tool("htpasswd", "apache2-utils"),
  openssl: () => tool("openssl", "openssl"),
  skopeo: () => tool("skopeo", "skopeo"),
  umoci: () => tool("umoci", "umoci"),
  debootstrap: () => tool("debootstrap", "debootstrap"),
  setcap: () => tool("setcap", "libcap2-bin"),
  podman: () => tool("podman", "podman"),
  runc: () => tool("runc", "runc"),
  fincore: () => tool("fincore", "util-linux-extra"),
} satisfies Record<string, Probe>;

/** What a test may need. */
export type Need = keyof typeof PROBES;

/** `test` and `describe` under a condition. */
export interface Conditional {
  /** Why they skip; `undefined` when everything is there. */
  readonly reason: string | undefined;
  test(name: string, body: (context: TestContext) => unknown, timeout?: number): void;
  describe(name: string, body: () => void): void;
}

/** Gives `test` and `describe` that run only when all the needs are met. */
export function needs(...names: readonly Need[]): Conditional {
  const missing = names.map((name) => probe(name)).filter((found) => found !== undefined);
  if (missing.length === 0) return conditional(undefined);
  return conditional({
    reason: missing.map((one) => one.reason).join("; "),
    obtainable: missing.every((one) => one.obtainable),
  });
}

/**
 * The same for a condition of the test file's own. `reason` says what is missing; `undefined` when
 * nothing is. `obtainable` tells whether setting up this machine could have met it.
 */
export function needsThat(reason: string | undefined, obtainable = false): Conditional {
  return conditional(reason === undefined ? undefined : { reason, obtainable });
}

function conditional(missing: Missing | undefined): Conditional {
  if (missing === undefined) return { reason: undefined, test, describe };
  const { reason } = missing;
  if (process.env["REQUIRE"] === "all" && missing.obtainable) {
    const fail = (): never => {
      throw new Error(`REQUIRE=all, and this machine could have run it: ${reason}`);
    };
    return {
      reason,
      test: (name) => test(name, fail),
      describe: (name) => describe(name, () => test("can run", fail)),
    };
  }
  const options = { skip: true, meta: { skipReason: reason } };
  return {
    reason,
    test: (name, body) => test(name, options, body),
    describe: (name, body) => describe(name, options, body),
  };
}

const probed = new Map<Need, Missing | undefined>();

function probe(name: Need): Missing | undefined {
  if (!probed.has(name)) probed.set(name, PROBES[name]());
  return probed.get(name);
}

function fileSystem(name: string): Missing | undefined {
  if (kernelHas(name)) return undefined;
  if (isRoot && succeeds("modprobe", [name]) && kernelHas(name)) return undefined;
  return lacking(`needs a kernel with ${name}`);
}

function kernelHas(name: string): boolean {
  return readFileSync("/proc/filesystems", "utf8").split(/\s+/).includes(name);
}

function tool(name: string, debianPackage: string): Missing | undefined {
  const path = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  if (path.some((directory) => isExecutable(`${directory}/${name}`))) return undefined;
  return notInstalled(`needs ${name} (Debian package ${debianPackage})`);
}

function isExecutable(path: string): boolean {
  return isAccessible(path, constants.X_OK);
}

function isUsable(path: string): boolean {
  return isAccessible(path, constants.R_OK | constants.W_OK);
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
