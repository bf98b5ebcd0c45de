/**
 * `npm run setup:oracle`: gets the C project's tools to compare with, and its test scripts to run.
 *
 * Both come from Debian's package `composefs`, into the test cache, into a root directory of their own;
 * the machine's packages stay as they are. Nothing of them becomes a part of this project. About 15 s
 * once; then nothing.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runIfProgram, setUpOnce } from "./cached-setup.mjs";
import { downloadSource, unpackPackages } from "./private-apt.mjs";

/** The suite that has version 1.0.8. */
const SUITE = "forky";
const PACKAGE = "composefs";
const ORACLE = { what: "C tools", name: "oracle", key: `${SUITE} ${PACKAGE} 1` };

/** Sets up the oracle and returns one line that says what was done. Throws where it cannot. */
export function setupOracle() {
  return setUpOnce(ORACLE, (work, directory) => {
    unpackPackages({ directory, suites: [SUITE], packages: [PACKAGE], root: join(work, "root") });
    unpackSource(downloadSource({ directory, suite: SUITE, name: PACKAGE }), join(work, "source"));
  });
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

runIfProgram(import.meta.url, "the C tools", setupOracle);
