/** `composefs repo gc`, as it is typed. */

import { rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SampleRepository } from "../store/sample.ts";
import type { Finished } from "../support/run.ts";
import { runProgram } from "./programs.ts";

function composefs(...args: string[]): Finished {
  return runProgram("composefs", args);
}

function sample(): SampleRepository {
  const repository = new SampleRepository();
  repository.image([repository.put("a file that is needed")], "kept");
  repository.stream("gone", { objects: [repository.put("a file of nobody")] });
  repository.close();
  return repository;
}

test("repo gc: --dry-run shows what would go, and it goes without", () => {
  const repository = sample();
  const before = repository.files();
  const dry = composefs("repo", "gc", "--dry-run", "--repo", repository.directory);
  expect(dry.stderr).toBe("");
  expect(dry.stdout.toString()).toMatch(
    /^- streams\/gone\n- object [0-9a-f]{64}\n- object [0-9a-f]{64}\nWould remove 2 objects of .*, 1 stream, 0 images, 0 unfinished files\nKept 2 objects of .*\n$/,
  );
  expect(dry.status).toBe(0);
  expect(repository.files()).toEqual(before);
  const real = composefs("repo", "gc", "--repo", repository.directory);
  expect(real.stdout.toString()).toMatch(/^Removed 2 objects of .*, 1 stream,/);
  expect(repository.objects()).toHaveLength(2);
});

test("repo gc: --root keeps, and a name that is not there is an error", () => {
  const repository = sample();
  const kept = composefs("repo", "gc", "--repo", repository.directory, "--root", "gone", "--json");
  expect(JSON.parse(kept.stdout.toString())).toMatchObject({ objects: 0, kept: { objects: 4 } });
  const mistyped = composefs("repo", "gc", "--repo", repository.directory, "--root=gon");
  expect(mistyped.status).toBe(1);
  expect(mistyped.stderr).toContain('Cannot keep "gon"');
  expect(repository.objects()).toHaveLength(4);
});

test("repo gc: damage is told, holds everything, and has an exit status of its own", () => {
  const repository = sample();
  const image = repository.files().find((file) => file.startsWith("images/refs/"))!;
  expect(image).toBe("images/refs/kept");
  for (const digest of repository.objects()) {
    const file = repository.objectFile(digest as never);
    if (repository.read(digest as never).length > 4000) writeFileSync(file, "damaged");
  }
  const done = composefs("repo", "gc", "--repo", repository.directory);
  expect(done.status).toBe(6);
  expect(done.stderr).toMatch(/error: cannot tell what images\/refs\/kept needs: image [0-9a-f]+/);
  expect(done.stderr).toContain("hint: 3 objects");
  expect(repository.objects()).toHaveLength(4);
  rmSync(repository.at("images/refs/kept"));
  expect(composefs("repo", "gc", "--repo", repository.directory).status).toBe(0);
  expect(repository.objects()).toHaveLength(0);
});
