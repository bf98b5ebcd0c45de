/**
 * `node scripts/setup-node.mjs 24`: gets another release of Node from its npm package into the test cache
 * and prints the directory of its `node`.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { testCache } from "./cache.mjs";

/**
 * Returns the directory with the `node` of a release, downloading it the first time.
 *
 * @param {string} major `24`
 */
export function setupNode(major) {
  const name = `node-linux-${process.arch}`;
  const target = join(testCache(), `node-${major}-${process.arch}`);
  const bin = join(target, "node_modules", name, "bin");
  if (existsSync(join(bin, "node"))) return bin;
  mkdirSync(testCache(), { recursive: true });
  const work = mkdtempSync(join(testCache(), "node-"));
  try {
    execFileSync(
      "npm",
      [
        "install",
        "--prefix",
        work,
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        `${name}@${major}`,
      ],
      { cwd: work, stdio: ["ignore", "ignore", "inherit"] },
    );
    renameSync(work, target);
  } catch (error) {
    rmSync(work, { recursive: true });
    throw error;
  }
  return bin;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(setupNode(process.argv[2] ?? "24"));
}
