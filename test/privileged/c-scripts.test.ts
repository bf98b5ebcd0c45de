/**
 * The C project's own test scripts, run with our commands in the place of theirs.
 *
 * The scripts are not part of this project: they come with Debian's source package or from a checkout,
 * see test/support/c-source.ts. What they print is shown when one fails.
 */

import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findCSource } from "../support/c-source.ts";
import { needs } from "../support/needs.ts";
import { run } from "../support/run.ts";
import { CHECKOUT } from "../support/shared.ts";
import { tempDir } from "../support/temp.ts";

const BIN = join(CHECKOUT, "bin");
const MINUTE = 60_000;

needs("C source", "bash", "time").describe("the C project's scripts", () => {
  const source = findCSource() ?? "";
  const tests = join(source, "tests");
  const assets = join(tests, "assets");

  /** Runs a script to its end and fails with the last lines of what it printed. */
  function expectScript(script: string, args: readonly string[], env: Record<string, string> = {}) {
    const done = run("bash", [join(tests, script), ...args], {
      cwd: source,
      env: { TMPDIR: tempDir(), PATH: `${BIN}:${process.env["PATH"]}`, ...env },
    });
    const printed = `${done.stdout}${done.stderr}`.trimEnd().split("\n").slice(-15).join("\n");
    expect(done.status, `${script} ended with ${done.status}:\n${printed}`).toBe(0);
    return done.stdout.toString();
  }

  function dumps(kind: "should fail" | "digests"): string[] {
    return readdirSync(assets)
      .filter((file) => /\.dump(\.gz)?$/.test(file))
      .filter((file) => file.startsWith("should-fail-") === (kind === "should fail"));
  }

  test(
    "test-checksums.sh",
    () => {
      const files = dumps("digests");
      const printed = expectScript("test-checksums.sh", [BIN, assets, files.join(" "), ""]);
      expect(printed.match(/^ok /gm)).toHaveLength(files.length);
    },
    10 * MINUTE,
  );

  test(
    "test-should-fail.sh",
    () => {
      const files = dumps("should fail").map((file) => join(assets, file));
      const printed = expectScript("test-should-fail.sh", [BIN, ...files]);
      expect(printed.match(/^ok /gm)).toHaveLength(files.length);
    },
    MINUTE,
  );

  test("test-units.sh", () => expectScript("test-units.sh", [BIN]), MINUTE);

  test("test-dump-filtered.sh", () => expectScript("test-dump-filtered.sh", [BIN, assets]), MINUTE);

  // Without FUSE: what is left compares an image with its copy, on a random directory.
  needs("python3").test(
    "test-random-fuse.sh, without its FUSE part",
    () => expectScript("test-random-fuse.sh", [BIN], { has_fuse: "n", seed: "1" }),
    5 * MINUTE,
  );

  needs("python3", "root", "mount", "erofs", "overlay").test(
    "integration.sh",
    () => {
      const root = join(tempDir(), "cfsroot");
      mkdirSync(root);
      try {
        expectScript("integration.sh", [], { cfsroot: root });
      } finally {
        // Only there if the script stopped half-way.
        run("umount", ["--lazy", "--quiet", join(root, "tmp/mnt")]);
      }
    },
    10 * MINUTE,
  );
});
