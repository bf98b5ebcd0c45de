/** Installs the Debian packages whose commands tests compare with, where it may: on Debian, as root. */

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";

/** Commands that tests use, and the packages that bring them. */
const PACKAGE_OF_COMMAND = {
  "fsck.erofs": "erofs-utils",
  "mkfs.ext4": "e2fsprogs",
  setfattr: "attr",
  fsverity: "fsverity",
  mandoc: "mandoc",
  zsh: "zsh",
  zstd: "zstd",
  fish: "fish",
  python3: "python3",
  unshare: "util-linux",
  bzip2: "bzip2",
  losetup: "mount",
  runc: "runc",
  fincore: "util-linux-extra",
  "docker-registry": "docker-registry",
  htpasswd: "apache2-utils",
  openssl: "openssl",
  skopeo: "skopeo",
  umoci: "umoci",
  debootstrap: "debootstrap",
  setcap: "libcap2-bin",
  podman: "podman",
};

/** Installs what is missing and returns one line that says what was done. Throws where apt fails. */
export function setupPackages() {
  const missing = Object.entries(PACKAGE_OF_COMMAND)
    .filter(([command]) => !isInstalled(command))
    .map(([, name]) => name);
  if (missing.length === 0) return "Debian packages: all there";
  if (!existsSync("/etc/debian_version")) {
    return `Debian packages: not Debian, so without ${missing.join(", ")}`;
  }
  if (process.getuid?.() !== 0) {
    return `Debian packages: not root, so without ${missing.join(", ")}`;
  }
  apt("update");
  apt("install", "--yes", "--no-install-recommends", ...missing);
  return `Debian packages: installed ${missing.join(", ")}`;
}

/** @param {string} command */
function isInstalled(command) {
  const directories = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return directories.some((directory) => {
    try {
      accessSync(`${directory}/${command}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {string[]} args */
function apt(...args) {
  const done = spawnSync("apt-get", ["--quiet", ...args], {
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (done.status !== 0) {
    const last = `${done.stdout}${done.stderr}`.trimEnd().split("\n").slice(-5).join("\n");
    throw new Error(`apt-get ${args.join(" ")} failed:\n${last}`);
  }
}
