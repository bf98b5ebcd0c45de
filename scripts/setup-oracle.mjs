/**
 * `npm run setup:oracle`: gets the C project's tools to compare with, and its test scripts to run.
 *
 * Both come from Debian's package `composefs`, into the test cache, into a root directory of their own;
 * the machine's packages stay as they are. Nothing of them becomes a part of this project. About 15 s
 * once; then nothing.
 */

import { execFileSync } from "node:child_process";
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
import { downloadSource, privateAptProblem, unpackPackages } from "./private-apt.mjs";

/** The suite that has version 1.0.8; what changes here makes a new set-up. */
const SUITE = "forky";
const PACKAGE = "composefs";
const KEY = `${SUITE} ${PACKAGE} 1`;

/** Sets up the oracle and returns one line that says what was done. Throws where it cannot. */
export function setupOracle() {
  const oracle = join(testCache(), "oracle");
  const stamp = join(oracle, "ready");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === KEY) {
    return `C tools: ready in ${oracle}`;
  }
  const problem = privateAptProblem();
  if (problem !== undefined) throw new Error(problem);

  mkdirSync(testCache(), { recursive: true });
  const work = mkdtempSync(join(testCache(), "oracle-"));
  try {
    const directory = join(work, "apt");
    unpackPackages({ directory, suites: [SUITE], packages: [PACKAGE], root: join(work, "root") });
    unpackSource(downloadSource({ directory, suite: SUITE, name: PACKAGE }), join(work, "source"));
    rmSync(directory, { recursive: true });
    writeFileSync(join(work, "ready"), KEY);
    rmSync(oracle, { recursive: true, force: true });
    renameSync(work, oracle);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    throw error;
  }
  return `C tools: unpacked into ${oracle}`;
}

/**
 * @param {readonly string[]} files
 * @param {string} target
 */
function unpackSource(files, target) {
  const archive = files.find((file) => /\.orig\.tar\.[a-z0-9]+$/.test(file));
  if (archive === undefined) throw new Error(`no upstream archive among ${files.join(", ")}`);
  mkdirSync(target);
  execFileSync("tar", [
    "--extract",
    "--strip-components=1",
    "--no-same-owner",
    "--file",
    archive,
    "--directory",
    target,
  ]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    console.log(setupOracle());
  } catch (error) {
    console.error(`Cannot set up the C tools: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
