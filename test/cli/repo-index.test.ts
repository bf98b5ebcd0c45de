/** `composefs repo index`, as it is typed. */

import { rmSync } from "node:fs";
import { expect, test } from "vitest";
import { SampleRepository } from "../store/sample.ts";
import type { Finished } from "../support/run.ts";
import { runProgram } from "./programs.ts";

test("repo index: rebuilt, shown, compacted", () => {
  const repository = new SampleRepository("sha512");
  const objects = [1, 2, 3].map((n) => repository.put(`object ${n}`));
  repository.stream("stream", { objects });
  const index = (...args: string[]): Finished =>
    runProgram("composefs", ["repo", "index", "--repo", repository.directory, ...args]);
  expect(index().stdout.toString()).toBe("0 contents known by their SHA-256\n");
  expect(index("--rebuild").stdout.toString()).toBe("3 contents known by their SHA-256\n");
  rmSync(repository.objectFile(objects[0]!));
  expect(JSON.parse(index("--json").stdout.toString())).toEqual({ records: 3 });
  expect(JSON.parse(index("--compact", "--json").stdout.toString())).toEqual({ records: 2 });
});
