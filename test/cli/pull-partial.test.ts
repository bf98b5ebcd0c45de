/** `composefs pull` of zstd:chunked layers, as users see it. */

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { chunkedBlob } from "../support/chunked.ts";
import { addChunkedImage } from "../support/chunked-image.ts";
import { pattern } from "../support/images.ts";
import type { Finished } from "../support/run.ts";
import { archive, header, member } from "../support/tar-bytes.ts";
import { tempDir } from "../support/temp.ts";
import { runProgram } from "./programs.ts";

const USR = header({ name: "usr/", typeflag: "5", mode: 0o755 });
const KEPT = member({ name: "usr/kept" }, pattern(500_000));
const OLD = archive(USR, KEPT, member({ name: "usr/changed" }, pattern(2000, 2)));
const NEW = archive(USR, KEPT, member({ name: "usr/changed" }, pattern(2000, 3)));

const root = tempDir();

function composefs(repository: string, ...args: string[]): Finished {
  const env = { COMPOSEFS_REPO: join(root, repository) };
  return runProgram("composefs", args, { env, cwd: root });
}

beforeAll(() => {
  for (const [tag, tar] of [["old", OLD] as const, ["new", NEW] as const]) {
    addChunkedImage(join(root, "layout"), tag, [{ ...chunkedBlob(tar), archive: tar }]);
  }
});

describe("pull of a zstd:chunked image", () => {
  beforeAll(() => {
    for (const repository of ["text", "json", "whole"]) {
      composefs(repository, "repo", "init", "--verity=missing-allowed");
      expect(composefs(repository, "pull", "oci:layout:old", "-q").status).toBe(0);
    }
  });

  test("says how much was here already, on the way and at the end", () => {
    const done = composefs("text", "pull", "oci:layout:new");
    expect(done.status).toBe(0);
    expect(done.stderr).toMatch(/^Layer [0-9a-f]{12}: .* KiB.*, 48\d KiB were here already\n$/);
    const text = done.stdout.toString();
    expect(text).toMatch(/fetched   .* KiB in .* s; 48\d KiB were here already\n/);
    expect(text).toMatch(/partial   sha256:[0-9a-f]{12}: 1 files, 488 KiB, were here already\n/);
  });

  test("says it to programs", () => {
    const done = composefs("json", "pull", "oci:layout:new", "--json", "--progress=json");
    const { layers } = JSON.parse(done.stdout.toString());
    const reused = { files: 1, bytes: 500_000 };
    const { fetched } = layers[0];
    expect(layers).toMatchObject([{ chunked: { way: "partial", needed: fetched, reused } }]);
    const events = done.stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events).toContainEqual({
      event: "chunked",
      layer: 0,
      digest: layers[0].digest,
      way: "partial",
      needed: fetched,
      reused,
    });
  });

  test("fetches everything when told to", () => {
    const done = composefs("whole", "pull", "oci:layout:new", "--no-partial", "--json");
    const { layers } = JSON.parse(done.stdout.toString());
    expect(layers[0].fetched).toBe(layers[0].size);
    expect(layers[0].chunked).toBeUndefined();
  });

  test("says why a layer was fetched whole", () => {
    const other = archive(USR, member({ name: "usr/other" }, pattern(100_000, 9)));
    addChunkedImage(join(root, "layout"), "other", [{ ...chunkedBlob(other), archive: other }]);
    const done = composefs("text", "pull", "oci:layout:other");
    expect(done.stdout.toString()).toMatch(
      /whole     sha256:[0-9a-f]{12}: hardly any of it is here already\n/,
    );
  });
});
