/**
 * Debian packages of another suite, without touching the machine's own: an apt with a configuration,
 * lists and a package database of its own below one directory. It checks signatures and hashes as ever.
 * Works for a plain user too.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Why this machine has no private apt, or `undefined` when it has. */
export function privateAptProblem() {
  const needed = ["/usr/bin/apt-get", "/usr/bin/dpkg-deb", KEYRING];
  const missing = needed.filter((path) => !existsSync(path));
  return missing.length === 0 ? undefined : `needs Debian's apt: ${missing.join(", ")} not found`;
}

/**
 * Downloads packages with all they depend on, and unpacks them into a root directory. No maintainer
 * script runs: what comes out is good for running a program with its libraries, not for booting.
 *
 * @param {{ directory: string, suite: string, packages: readonly string[], root: string }} request
 */
export function unpackPackages({ directory, suite, packages, root }) {
  const apt = openPrivateApt(directory, suite);
  apt("install", "--download-only", "--no-install-recommends", ...packages);
  const archives = join(directory, "archives");
  mkdirSync(root, { recursive: true });
  for (const file of readdirSync(archives)) {
    if (file.endsWith(".deb")) runQuiet("dpkg-deb", ["--extract", join(archives, file), root]);
  }
}

/**
 * Downloads a source package and returns the paths of its files.
 *
 * @param {{ directory: string, suite: string, name: string }} request
 */
export function downloadSource({ directory, suite, name }) {
  const apt = openPrivateApt(directory, suite);
  const target = join(directory, "source");
  mkdirSync(target, { recursive: true });
  apt.in(target)("source", "--download-only", name);
  return readdirSync(target).map((file) => join(target, file));
}

/**
 * @param {string} directory
 * @param {string} suite
 */
function openPrivateApt(directory, suite) {
  for (const part of [
    "etc/sources.list.d",
    "etc/preferences.d",
    "etc/apt.conf.d",
    "state/lists/partial",
    "archives/partial",
  ]) {
    mkdirSync(join(directory, part), { recursive: true });
  }
  const sources = join(directory, "etc/sources.list.d", `${suite}.sources`);
  const config = join(directory, "apt.conf");
  const isNew = !existsSync(sources);
  if (isNew) {
    // A frozen mirror's Release file is past its date; its signature is checked all the same.
    writeFileSync(
      sources,
      [
        "Types: deb deb-src",
        `URIs: ${machinesMirror()}`,
        `Suites: ${suite}`,
        "Components: main",
        "Check-Valid-Until: no",
        `Signed-By: ${KEYRING}`,
        "",
      ].join("\n"),
    );
    writeFileSync(join(directory, "state/status"), "");
    writeFileSync(
      config,
      [
        `Dir::Etc "${join(directory, "etc")}";`,
        `Dir::Etc::trusted "/dev/null";`,
        `Dir::State "${join(directory, "state")}";`,
        `Dir::State::status "${join(directory, "state/status")}";`,
        `Dir::Cache "${directory}";`,
        `Dir::Cache::archives "${join(directory, "archives")}";`,
        `Dir::Log "${directory}";`,
        // The user that apt drops to cannot enter a home directory.
        `APT::Sandbox::User "";`,
        `APT::Install-Recommends "false";`,
        `Acquire::Languages "none";`,
        "",
      ].join("\n"),
    );
  }
  /** @param {string | undefined} cwd */
  const within =
    (cwd) =>
    (/** @type {string[]} */ ...args) =>
      runQuiet("apt-get", ["--quiet", "--yes", ...args], {
        cwd,
        env: { ...process.env, APT_CONFIG: config, DEBIAN_FRONTEND: "noninteractive" },
      });
  const apt = Object.assign(within(undefined), { in: within });
  if (isNew) {
    try {
      apt("update");
    } catch (error) {
      rmSync(sources);
      throw error;
    }
  }
  return apt;
}

/** The mirror that the machine itself installs from. */
function machinesMirror() {
  const args = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
  const [first] = execFileSync("apt-get", args, { encoding: "utf8" }).split("\n");
  if (first === undefined || first === "") throw new Error("apt has no package source configured");
  return first;
}

/**
 * Runs a command and shows what it printed only when it fails.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string | undefined, env?: NodeJS.ProcessEnv }} [options]
 */
function runQuiet(command, args, options = {}) {
  try {
    execFileSync(command, args, {
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 2 ** 28,
    });
  } catch (error) {
    const { stdout, stderr } = /** @type {{ stdout?: Buffer, stderr?: Buffer }} */ (error);
    const last = `${stdout ?? ""}${stderr ?? ""}`.trimEnd().split("\n").slice(-20).join("\n");
    throw new Error(`${command} ${args.join(" ")} failed:\n${last}`, { cause: error });
  }
}
