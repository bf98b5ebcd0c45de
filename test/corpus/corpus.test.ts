/**
 * Dumps of our own and what C `mkcomposefs` 1.0.8 makes of them.
 *
 *     NAME.dump               with NAME.dump.digests: for `--min-version`/`--max-version` 0, 1 and the
 *                             defaults the fs-verity digest of the image
 *     should-fail-WHY.dump    with should-fail-WHY.dump.reason: what we say, and in a second line after
 *                             `C: ` what C says where it says less
 *     accepted-WHAT.dump      looks wrong, but is read, also by C
 *
 * To add a case, write a dump and set up the C tools (`npm run setup:oracle`): the test that fails
 * then prints what belongs into the new file.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  chooseFormatVersion,
  computeFsVerityDigest,
  DumpError,
  parseDump,
  validateTree,
  writeImage,
} from "#src/core/mod.ts";
import { blockHash } from "#src/floor/mod.ts";
import { needs } from "../support/needs.ts";
import { oracle } from "../support/oracle.ts";

const dumps = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".dump"))
  .sort();
const refused = dumps.filter((file) => file.startsWith("should-fail-"));
const accepted = dumps.filter((file) => !refused.includes(file));

function read(file: string): Buffer {
  return readFileSync(join(import.meta.dirname, file));
}

/** The lines of a `.digests` file. */
function ourDigests(dump: Uint8Array): string[] {
  const tree = validateTree(parseDump(dump, { strict: true }));
  const chosen = chooseFormatVersion(tree, { minVersion: 0, maxVersion: 1 });
  return ([0, 1, chosen] as const).map((version, index) => {
    const image = writeImage(tree, { version });
    return `${index < 2 ? version : "default"} ${computeFsVerityDigest(image, blockHash("sha256"))}`;
  });
}

describe("writeImage", () => {
  test.each(accepted)("%s: gives the recorded digests", (file) => {
    expect(ourDigests(read(file))).toEqual(read(`${file}.digests`).toString().trim().split("\n"));
  });
});

describe("parseDump", () => {
  test.each(refused)("%s: is refused for the recorded reason", (file) => {
    let reason: string | undefined;
    try {
      validateTree(parseDump(read(file)));
    } catch (error) {
      if (!(error instanceof DumpError)) throw error;
      reason = error.reason;
    }
    expect(reason).toBe(recorded(`${file}.reason`).split("\n")[0]);
  });
});

needs("oracle").describe("C mkcomposefs", () => {
  const versions = [
    ["0", ["--min-version=0", "--max-version=0"]],
    ["1", ["--min-version=1", "--max-version=1"]],
    ["default", []],
  ] as const;

  test.each(accepted)("%s: gives the recorded digests", (file) => {
    const path = join(import.meta.dirname, file);
    const lines = versions.map(([name, args]) => {
      const done = oracle.mkcomposefs([...args, "--print-digest-only", "--from-file", path]);
      return `${name} ${done.stdout.toString()}${done.stderr}`;
    });
    expect(lines.join("")).toBe(recorded(`${file}.digests`));
  });

  test.each(refused)("%s: is refused for the recorded reason", (file) => {
    const path = join(import.meta.dirname, file);
    const done = oracle.mkcomposefs(["--print-digest-only", "--from-file", path]);
    expect(done.status).toBe(1);
    const [ours, theirs] = recorded(`${file}.reason`).split("\n");
    const expected = theirs?.startsWith("C: ") ? theirs.slice("C: ".length) : ours;
    expect(done.stderr.replace(/^\S+: /, "")).toBe(`${expected}\n`);
  });
});

function recorded(file: string): string {
  return existsSync(join(import.meta.dirname, file)) ? read(file).toString() : "(not yet recorded)";
}
