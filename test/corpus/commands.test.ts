/** The contract that C's own scripts check, with our commands: over the vectors beside the checkout. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { needs } from "../support/needs.ts";
import { run } from "../support/run.ts";
import type { Finished, RunOptions } from "../support/run.ts";
import { CHECKOUT, dumpVectors, readVector } from "../support/shared.ts";
import { tempDir } from "../support/temp.ts";

function command(name: string, args: readonly string[], options?: RunOptions): Finished {
  return run(join(CHECKOUT, "bin", name), args, options);
}

/** Fails with what the command said. */
function expectSuccess(done: Finished): Buffer {
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
  return done.stdout;
}

needs("vectors").describe("commands", () => {
  const vectors = dumpVectors();
  const accepted = vectors.filter((vector) => vector.imageSha256 !== undefined);
  const refused = vectors.filter((vector) => vector.imageSha256 === undefined);
  const directory = tempDir();

  describe.each(accepted)("$name", (vector) => {
    const image = join(directory, vector.name);
    const copy = `${image}.copy`;
    const dump = readVector(vector);
    const version = vector.version === undefined ? [] : [vector.version];
    const versionArgs = version.flatMap((one) => [`--min-version=${one}`, `--max-version=${one}`]);
    const env: Record<string, string> = vector.strict ? { CFS_PARSE_STRICT: "1" } : {};

    test("mkcomposefs makes the published image", () => {
      const args = [...versionArgs, "--from-file", "-", image];
      expectSuccess(command("mkcomposefs", args, { stdin: dump, env }));
      const sha256 = createHash("sha256").update(readFileSync(image)).digest("hex");
      expect(sha256).toBe(vector.imageSha256);
    });

    test("composefs-dump writes the same image again", () => {
      expectSuccess(command("composefs-dump", [image, copy]));
      expect(readFileSync(copy).equals(readFileSync(image))).toBe(true);
    });

    test("mkcomposefs makes the same image of what composefs-info dumps", () => {
      const text = expectSuccess(command("composefs-info", ["dump", image]));
      const args = [...versionArgs, "--from-file", "-", copy];
      expectSuccess(command("mkcomposefs", args, { stdin: text, env }));
      expect(readFileSync(copy).equals(readFileSync(image))).toBe(true);
    });

    needs("fsck.erofs").test("fsck.erofs finds nothing wrong", () => {
      const done = run("fsck.erofs", [image]);
      expect(done.status, done.stderr).toBe(0);
    });
  });

  test.each(refused)(
    "mkcomposefs refuses $name with one clear line and writes nothing",
    (vector) => {
      const output = join(directory, `${vector.name}.image`);
      const done = command("mkcomposefs", ["--from-file", vector.path, output]);
      expect(done.status).toBe(1);
      expect(done.stderr).toMatch(/^mkcomposefs: .+\n(?:hint: .+\n)?$/);
      expect(done.stdout.length).toBe(0);
      expect(existsSync(output)).toBe(false);
    },
  );
});
