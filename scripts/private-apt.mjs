/**
 * Debian packages of another suite, without touching the machine's own: an apt with a configuration,
 * lists and a package database of its own below one directory. It checks signatures and hashes as ever.
 * Works for a plain user too.
 */

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";

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
 * A package may name its suite: `package/suite`. What the machine has counts as installed with
 * `installed: "machine"`: the programs then run with the machine's C library, and the suites must fit it.
 *
 * @param {PackageSource & { packages: readonly string[], root: string }} request
 */
export function unpackPackages({ packages, root, ...source }) {
  const apt = openPrivateApt(source);
  apt("install", "--download-only", "--no-install-recommends", ...packages);
  unpackArchives(join(source.directory, "archives"), root);
}

/**
 * Downloads packages without what they depend on, and unpacks them into a root directory.
 *
 * @param {PackageSource & { packages: readonly string[], root: string }} request
 */
export function unpackBarePackages({ packages, root, ...source }) {
  const apt = openPrivateApt(source);
  const archives = join(source.directory, "archives");
  apt.in(archives)("download", ...packages);
  unpackArchives(archives, root);
}

/**
 * The packages that a package depends on, as the suites have it now: what a package without files of its
 * own stands for.
 *
 * @param {PackageSource & { name: string }} request
 * @returns {string[]}
 */
export function packageDependencies({ name, ...source }) {
  const apt = openPrivateApt(source);
  const printed = execFileSync("apt-cache", ["depends", "--important", name], {
    encoding: "utf8",
    env: apt.env,
  });
  return printed.split("\n").flatMap((line) => /^ +Depends: (\S+)/.exec(line)?.[1] ?? []);
}

/** Debian as this machine gets it, for a program that runs an apt of its own. */
export function debianSource() {
  return { mirror: machinesMirror(), keyring: KEYRING, settings: downloadSettings() };
}

/**
 * @param {string} archives
 * @param {string} root
 */
function unpackArchives(archives, root) {
  mkdirSync(root, { recursive: true });
  for (const file of readdirSync(archives)) {
    if (file.endsWith(".deb")) runQuiet("dpkg-deb", ["--extract", join(archives, file), root]);
  }
  keepLinksInside(root);
}

/**
 * Makes symbolic links to absolute paths (`/sbin/depmod` to `/bin/kmod`) lead to files below `root`.
 *
 * @param {string} root
 */
function keepLinksInside(root) {
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const target = readlinkSync(link);
    if (!target.startsWith("/")) continue;
    rmSync(link);
    symlinkSync(relative(entry.parentPath, join(root, target)), link);
  }
}

/**
 * Downloads a source package and returns the paths of its files.
 *
 * @param {{ directory: string, suite: string, name: string }} request
 */
export function downloadSource({ directory, suite, name }) {
  const apt = openPrivateApt({
    directory: join(directory, "source-apt"),
    suites: [suite],
    types: "deb-src",
  });
  const target = join(directory, "source");
  mkdirSync(target, { recursive: true });
  apt.in(target)("source", "--download-only", name);
  return readdirSync(target).map((file) => join(target, file));
}

/**
 * Where packages come from, and the directory that the private apt may fill.
 *
 * @typedef {object} PackageSource
 * @property {string} directory
 * @property {readonly string[]} suites
 * @property {"nothing" | "machine"} [installed] what counts as installed; nothing unless told
 * @property {string} [types] `deb` unless told
 */

/** @param {PackageSource} source */
function openPrivateApt({ directory, suites, installed = "nothing", types = "deb" }) {
  for (const part of [
    "etc/sources.list.d",
    "etc/preferences.d",
    "etc/apt.conf.d",
    "state/lists/partial",
    "archives/partial",
  ]) {
    mkdirSync(join(directory, part), { recursive: true });
  }
  const sources = join(directory, "etc/sources.list.d/private.sources");
  const config = join(directory, "apt.conf");
  const isNew = !existsSync(sources);
  if (isNew) {
    writeFileSync(
      sources,
      [
        `Types: ${types}`,
        `URIs: ${machinesMirror()}`,
        `Suites: ${suites.join(" ")}`,
        "Components: main",
        `Signed-By: ${KEYRING}`,
        "",
      ].join("\n"),
    );
    writeFileSync(join(directory, "state/nothing-installed"), "");
    const status =
      installed === "machine" ? "/var/lib/dpkg/status" : join(directory, "state/nothing-installed");
    writeFileSync(
      config,
      [
        `Dir::Etc "${join(directory, "etc")}";`,
        `Dir::Etc::trusted "/dev/null";`,
        `Dir::State "${join(directory, "state")}";`,
        `Dir::State::status "${status}";`,
        `Dir::Cache "${directory}";`,
        `Dir::Cache::archives "${join(directory, "archives")}";`,
        `Dir::Log "${directory}";`,
        // The user that apt drops to cannot enter a home directory.
        `APT::Sandbox::User "";`,
        `APT::Install-Recommends "false";`,
        ...downloadSettings(),
        `Acquire::Languages "none";`,
        "",
      ].join("\n"),
    );
  }
  const env = { ...process.env, APT_CONFIG: config, DEBIAN_FRONTEND: "noninteractive" };
  /** @param {string | undefined} cwd */
  const within =
    (cwd) =>
    (/** @type {string[]} */ ...args) =>
      runQuiet("apt-get", ["--quiet", "--yes", ...args], { cwd, env });
  const apt = Object.assign(within(undefined), { in: within, env });
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

/** The Debian mirror that the machine itself installs from; its suites for security are elsewhere. */
function machinesMirror() {
  const args = ["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"];
  const lines = execFileSync("apt-get", args, { encoding: "utf8" }).split("\n");
  // Before the machine's first `apt-get update` there are no labels; the first source is the main one.
  const mirror = (lines.find((line) => line.startsWith("Debian ")) ?? lines[0])?.split(" ").at(-1);
  if (mirror === undefined || mirror === "")
    throw new Error("apt has no package source configured");
  return mirror;
}

/** How to download: through the proxy that the machine's apt needs, with signatures checked as ever. */
function downloadSettings() {
  const lines = execFileSync("apt-config", ["dump"], { encoding: "utf8" }).split("\n");
  return [
    ...lines.filter((line) => /^Acquire::(https?|Retries|ForceIPv[46]|Check-Date)\b/i.test(line)),
    // A frozen mirror's Release file is past its date; that says nothing about its signature.
    `Acquire::Check-Valid-Until "false";`,
  ];
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
