/**
 * What a set-up from Debian's packages has in common with every other: it is made once, beside its place in
 * the test cache, gets that place when it is complete, and says in a line what was done.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { testCache } from "./cache.mjs";
import { privateAptProblem } from "./private-apt.mjs";

/**
 * Returns the line. `what` is for people, `name` the directory in the test cache; another `key` makes it anew.
 * `make` fills the directory `work`, and has an empty one for apt. Throws where this machine has no apt.
 *
 * @param {{ what: string, name: string, key: string }} setup
 * @param {(work: string, apt: string) => void} make
 */
export function setUpOnce({ what, name, key }, make) {
  const place = join(testCache(), name);
  const stamp = join(place, "ready");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key) return `${what}: ready in ${place}`;
  const problem = privateAptProblem();
  if (problem !== undefined) throw new Error(problem);

  mkdirSync(testCache(), { recursive: true });
  const work = mkdtempSync(join(testCache(), `${name}-`));
  try {
    const apt = join(work, "apt");
    make(work, apt);
    rmSync(apt, { recursive: true });
    writeFileSync(join(work, "ready"), key);
    rmSync(place, { recursive: true, force: true });
    renameSync(work, place);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    throw error;
  }
  return `${what}: unpacked into ${place}`;
}

/**
 * Runs a set-up if its module, of address `url`, is the program, and prints its line or why it failed.
 *
 * @param {string} url
 * @param {string} what
 * @param {() => string} setup
 */
export function runIfProgram(url, what, setup) {
  if (url !== pathToFileURL(process.argv[1] ?? "").href) return;
  try {
    console.log(setup());
  } catch (error) {
    console.error(`Cannot set up ${what}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
