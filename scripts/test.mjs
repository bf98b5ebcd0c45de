/**
 * `npm test`: on a fresh clone with nothing done before, installs, builds, sets up what tests compare
 * with, and runs everything that can run here. Ends with what failed and why, what was skipped and why,
 * and the line `N passed, N failed, N skipped`.
 *
 *     npm test                     everything
 *     npm test -- --no-vm          without the virtual machines
 *     npm test -- test/core        only these files
 *
 * REQUIRE=all                 a skip is a failure wherever this machine could have run the test
 * COMPOSEFS_TEST_SETUP=none   installs nothing outside the checkout and its cache
 * COMPOSEFS_TEST_FAST=1       leaves out the slow tests
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKOUT, launch, prepareCheckout } from "./checkout.mjs";
import { setupOracle } from "./setup-oracle.mjs";
import { setupPackages } from "./setup-packages.mjs";
import { setupPeers } from "./setup-peers.mjs";
import { setupSelinuxPolicy } from "./setup-selinux-policy.mjs";

const VM_CONFIG = "test/vm/vitest.config.ts";

/**
 * One line of test/support/reporter.ts.
 * @typedef {{ state: "passed" | "failed" | "skipped", file: string, name: string, why: string }} Result
 */

await launch(() => {
  const args = process.argv.slice(2);
  const filters = args.filter((arg) => arg !== "--no-vm");
  const withVm = !args.includes("--no-vm") && filters.length === 0;

  prepareCheckout();
  if (process.env["COMPOSEFS_TEST_SETUP"] !== "none") {
    attempt("Debian packages", setupPackages);
    attempt("C tools", setupOracle);
    attempt("SELinux policy", setupSelinuxPolicy);
    attempt("podman and skopeo", setupPeers);
    if (withVm) attempt("virtual machines", setupVm);
  }
  const results = runVitest("vitest.config.ts", filters);
  if (withVm) results.push(...runVitest(VM_CONFIG, []));
  return summarise(results);
});

/**
 * A set-up that fails does not stop the tests: those that need it say so.
 *
 * @param {string} name
 * @param {() => string} setup
 */
function attempt(name, setup) {
  try {
    console.log(setup());
  } catch (error) {
    console.log(`${name}: not set up: ${error instanceof Error ? error.message : error}`);
  }
}

function setupVm() {
  const done = spawnSync("npm", ["run", "--silent", "setup:vm"], {
    cwd: CHECKOUT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (done.status !== 0) throw new Error(`\`npm run setup:vm\` ended with status ${done.status}`);
  return "virtual machines: ready";
}

/**
 * Runs vitest and returns what each test came to.
 *
 * @param {string} config
 * @param {string[]} filters
 * @returns {Result[]}
 */
function runVitest(config, filters) {
  const directory = mkdtempSync(join(tmpdir(), "composefs-results-"));
  try {
    const path = join(directory, "results");
    const done = spawnSync(
      process.execPath,
      [
        join(CHECKOUT, "node_modules/vitest/vitest.mjs"),
        "run",
        `--config=${config}`,
        "--reporter=default",
        "--reporter=./test/support/reporter.ts",
        ...filters,
      ],
      {
        cwd: CHECKOUT,
        stdio: ["ignore", "inherit", "inherit"],
        env: { ...process.env, COMPOSEFS_TEST_RESULTS: path },
      },
    );
    /** @type {Result[]} */
    const results = existsSync(path)
      ? readFileSync(path, "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      : [];
    if (done.status !== 0 && !results.some((result) => result.state === "failed")) {
      const why = `vitest ended with ${done.status ?? done.signal} and no failed test`;
      results.push({ state: "failed", file: config, name: "(the run itself)", why });
    }
    return results;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * Prints the summary and returns the exit status.
 *
 * @param {Result[]} results
 */
function summarise(results) {
  const requireAll = process.env["REQUIRE"] === "all";
  for (const result of results) {
    if (result.state === "skipped" && result.why === "") {
      result.why = "no reason given";
      if (requireAll) result.state = "failed";
    }
  }
  const passed = results.filter((result) => result.state === "passed");
  const failed = results.filter((result) => result.state === "failed");
  const skipped = results.filter((result) => result.state === "skipped");

  if (skipped.length > 0) console.log("\nSkipped:");
  for (const why of new Set(skipped.map((result) => result.why))) {
    const group = skipped.filter((result) => result.why === why);
    console.log(`  ${String(group.length).padStart(4)}  ${why}`);
    for (const result of group) console.log(`          ${result.file}: ${result.name}`);
  }
  if (failed.length > 0) console.log("\nFailed:");
  for (const result of failed) {
    console.log(`  ${result.file}: ${result.name}`);
    console.log(`      ${result.why}`);
  }
  const counts = `${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`;
  console.log(`\n${counts}`);
  return failed.length > 0 || passed.length === 0 ? 1 : 0;
}
