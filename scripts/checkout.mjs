/** What every launcher does first on a checkout where nothing was done before: install, then build. */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The root of the checkout. */
export const CHECKOUT = resolve(import.meta.dirname, "..");

/** Ends the launcher with one clear line. */
export class LauncherError extends Error {}

/** Installs what package-lock.json asks for, unless it is there, and compiles src to dist. */
export function prepareCheckout() {
  requireNode();
  if (!isInstalled()) {
    console.log("Installing what package-lock.json lists …");
    step("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  }
  step("npm", ["run", "--silent", "build"]);
}

/**
 * Runs a main function: a LauncherError, or an error of the library, becomes one line and status 1.
 *
 * @param {() => Promise<number> | number} main Returns the exit status.
 */
export async function launch(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof LauncherError) && !isOfLibrary(error)) throw error;
    console.error(error.message);
    if ("hint" in error && typeof error.hint === "string") console.error(`hint: ${error.hint}`);
    process.exitCode = 1;
  }
}

/**
 * Whether the library threw it on purpose. The library is not loaded here: it may not be built yet.
 *
 * @param {unknown} error
 * @returns {error is Error}
 */
function isOfLibrary(error) {
  return error instanceof Error && "code" in error && "hint" in error;
}

/** Says so at once where Node is too old: what would fail later fails unclearly. */
function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const needed = readJson(join(CHECKOUT, "package.json")).engines.node;
  const [neededMajor, neededMinor] = needed.replace(">=", "").split(".").map(Number);
  if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
    throw new LauncherError(`Cannot run on Node ${process.versions.node}: it needs Node ${needed}`);
  }
}

/** Whether node_modules holds the versions of package-lock.json. */
function isInstalled() {
  const installed = join(CHECKOUT, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  const present = readJson(installed).packages;
  return Object.entries(readJson(join(CHECKOUT, "package-lock.json")).packages).every(
    // Optional ones are there or not, by architecture.
    ([path, wanted]) =>
      path === "" || wanted.optional || wanted.peer || present[path]?.version === wanted.version,
  );
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function step(command, args) {
  const done = spawnSync(command, args, { cwd: CHECKOUT, stdio: ["ignore", "inherit", "inherit"] });
  if (done.error !== undefined) {
    throw new LauncherError(`Cannot run ${command}: ${done.error.message}`);
  }
  if (done.status !== 0) {
    throw new LauncherError(
      `Cannot go on: \`${[command, ...args].join(" ")}\` ended with status ${done.status}`,
    );
  }
}

/**
 * @param {string} path
 * @returns {any}
 */
function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
