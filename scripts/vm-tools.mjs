/** Runs the programs that `npm run setup:vm` unpacked, with the libraries that were unpacked beside them. */

import { execFileSync } from "node:child_process";
import { join } from "node:path";

/**
 * The environment in which the unpacked programs find each other and their libraries.
 *
 * @param {string} tools root directory of the unpacked packages
 * @returns {NodeJS.ProcessEnv}
 */
export function toolEnvironment(tools) {
  const below = (/** @type {string[]} */ ...paths) =>
    paths.map((path) => join(tools, path)).join(":");
  return {
    ...process.env,
    LC_ALL: "C.UTF-8",
    PATH: `${below("usr/bin", "usr/sbin", "bin", "sbin")}:/usr/bin:/usr/sbin:/bin:/sbin`,
    LD_LIBRARY_PATH: below("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"),
    PYTHONPATH: below("usr/lib/python3/dist-packages"),
    PYTHONDONTWRITEBYTECODE: "1",
    MTOOLS_SKIP_CHECK: "1",
  };
}

/**
 * Runs a program to its end and returns its standard output. Throws what it printed when it fails.
 *
 * @param {string} tools
 * @param {string} name
 * @param {readonly string[]} args
 * @param {{ input?: string | Uint8Array, cwd?: string, env?: NodeJS.ProcessEnv, timeout?: number }} [options] `timeout` in ms, a minute unless told
 * @returns {Buffer}
 */
export function runTool(tools, name, args, options = {}) {
  try {
    return execFileSync(name, args, {
      timeout: 60_000,
      input: "",
      ...options,
      env: { ...toolEnvironment(tools), ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      maxBuffer: 2 ** 30,
    });
  } catch (error) {
    const { stdout, stderr, status, signal } =
      /** @type {{ stdout?: Buffer, stderr?: Buffer, status?: number, signal?: string }} */ (error);
    const last = `${stdout?.subarray(-4000) ?? ""}${stderr ?? ""}`
      .trimEnd()
      .split("\n")
      .slice(-20)
      .join("\n");
    throw new Error(`${name} ${args.join(" ")}: ended with ${signal ?? status ?? error}\n${last}`, {
      cause: error,
    });
  }
}
