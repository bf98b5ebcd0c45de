/**
 * `npm run setup:vm`: gets and makes what the tests in virtual machines need, once.
 *
 * Everything comes from Debian's packages through apt with its signature checks, and goes into the test
 * cache; nothing is installed on the machine. Each part is kept under a name made of what it was made from,
 * so a second run has nothing to do. `--if-possible` makes it no failure where this machine cannot.
 *
 * What is there afterwards is listed in `manifest.json`, read by test/vm/harness/setup.ts.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { testCache } from "./cache.mjs";
import { packageDependencies, unpackBarePackages, unpackPackages } from "./private-apt.mjs";
import { makeFirmware } from "./vm-firmware.mjs";
import { unpackKernel } from "./vm-kernel.mjs";
import { machineProblem } from "./vm-machine.mjs";
import { makeUserspace } from "./vm-userspace.mjs";

const CHECKOUT = resolve(import.meta.dirname, "..");

/**
 * Programs of this machine's own Debian, with the libraries that it does not have. QEMU is the one of
 * backports: 7.2 of Debian 12 now and then crashes the guest's kernel where it has no hardware to help.
 */
const TOOLS = {
  suites: ["bookworm", "bookworm-updates", "bookworm-backports"],
  packages: [
    ...[
      "qemu-system-x86",
      "qemu-system-common",
      "qemu-system-data",
      "seabios",
      "python3-virt-firmware",
    ].map((name) => `${name}/bookworm-backports`),
    ...[
      "btrfs-progs",
      "busybox-static",
      "fsverity",
      "cpio",
      "dosfstools",
      "e2fsprogs",
      "fdisk",
      "kmod",
      "mmdebstrap",
    ],
    ...["mtools", "openssl", "python3-cryptography", "python3-pefile", "sbsigntool", "util-linux"],
    ...["xz-utils", "zstd"],
  ],
};

/** What runs in the guest, and what makes a file for it: no program of these runs by itself here. */
const GUEST_SUITE = "trixie";
/** Has no files; it depends on the newest kernel of the suite. */
const KERNEL = "linux-image-cloud-amd64";
const BOOT_PACKAGES = ["ovmf", "systemd-boot-efi", "systemd-ukify"];

/** Sets up, and returns the cache. */
function setup() {
  const cache = join(testCache(), "vm");
  mkdirSync(cache, { recursive: true });

  const tools = part(cache, "tools", [TOOLS, readFileSync("/var/lib/dpkg/status")], (root, apt) =>
    unpackPackages({ directory: apt, ...TOOLS, installed: "machine", root }),
  );
  const boot = part(cache, "boot", [GUEST_SUITE, KERNEL, BOOT_PACKAGES], (root, apt) => {
    const debian = { directory: apt, suites: [GUEST_SUITE] };
    const kernel = packageDependencies({ ...debian, name: KERNEL });
    unpackBarePackages({ ...debian, packages: [...kernel, ...BOOT_PACKAGES], root });
  });
  const kernel = part(cache, "kernel", [boot.key, scriptText("vm-kernel")], (root) =>
    unpackKernel({ tools: tools.root, packages: boot.root, root }),
  );
  const firmware = part(cache, "firmware", [boot.key, scriptText("vm-firmware")], (root) =>
    makeFirmware({ tools: tools.root, packages: boot.root, root }),
  );
  const agent = join(CHECKOUT, "test/vm/guest/agent.sh");
  const userspace = part(
    cache,
    "userspace",
    [GUEST_SUITE, scriptText("vm-userspace"), readFileSync(agent)],
    (root, apt) => makeUserspace({ tools: tools.root, suite: GUEST_SUITE, agent, apt, root }),
  );
  const manifest = {
    tools: tools.root,
    packages: boot.root,
    kernel: kernel.root,
    firmware: firmware.root,
    userspace: userspace.root,
  };
  writeFileSync(join(cache, "manifest.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return cache;
}

/**
 * One part of the cache: made by `make` in a directory with a name for what it is made from, unless it is
 * there. `make` gets an empty directory for apt besides.
 *
 * @param {string} cache
 * @param {string} name
 * @param {readonly unknown[]} inputs
 * @param {(root: string, apt: string) => void} make
 */
function part(cache, name, inputs, make) {
  const hash = createHash("sha256");
  for (const input of inputs)
    hash.update(input instanceof Uint8Array ? input : JSON.stringify(input));
  const key = `${name}-${hash.digest("hex").slice(0, 16)}`;
  const root = join(cache, key);
  if (existsSync(root)) {
    utimesSync(root, new Date(), new Date());
    say(`${name}: ready`);
    return { key, root };
  }
  forget(cache, name);
  const start = performance.now();
  const work = mkdtempSync(join(cache, `making-${name}-`));
  try {
    mkdirSync(join(work, "root"));
    mkdirSync(join(work, "apt"));
    make(join(work, "root"), join(work, "apt"));
    // Another checkout's set-up may have been quicker.
    if (!existsSync(root)) renameSync(join(work, "root"), root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const size = execFileSync("du", ["--summarize", "--block-size=M", root], { encoding: "utf8" });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  say(`${name}: made in ${seconds} s, ${size.split("M")[0]} MiB`);
  return { key, root };
}

/**
 * Removes what this part was and no checkout used for two weeks.
 *
 * @param {string} cache
 * @param {string} name
 */
function forget(cache, name) {
  const before = Date.now() - 14 * 24 * 3600 * 1000;
  for (const entry of readdirSync(cache)) {
    if (entry.startsWith(`${name}-`) && statSync(join(cache, entry)).mtimeMs < before) {
      rmSync(join(cache, entry), { recursive: true });
    }
  }
}

/** @param {string} name */
function scriptText(name) {
  return readFileSync(join(import.meta.dirname, `${name}.mjs`));
}

/** @param {string} line */
function say(line) {
  console.log(`setup:vm: ${line}`);
}

const problem = machineProblem();
if (problem === undefined) {
  const start = performance.now();
  const cache = setup();
  say(`ready in ${((performance.now() - start) / 1000).toFixed(1)} s: ${cache}`);
} else {
  say(`not on this machine: ${problem}`);
  if (!process.argv.includes("--if-possible")) process.exitCode = 1;
}
