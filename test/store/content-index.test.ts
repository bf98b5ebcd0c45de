/** The content index: found again, torn, cut, shared, rebuilt, and ignored by the peer. */

import { createHash, randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import type { FsVerityDigest, OciDigest } from "#src/core/mod.ts";
import { flock } from "#src/floor/mod.ts";
import {
  ContentIndex,
  compactContentIndex,
  rebuildContentIndex,
} from "#src/store/content-index/mod.ts";
import { cfsctlMissing } from "../support/cfsctl.ts";
import { needsThat } from "../support/needs.ts";
import { run } from "../support/run.ts";
import { CHECKOUT } from "../support/shared.ts";
import { SampleRepository } from "./sample.ts";

const RECORD = 76;

function sha256(content: string | Uint8Array): OciDigest {
  return `sha256:${createHash("sha256").update(content).digest("hex")}` as OciDigest;
}

/** Stores contents and enters them. */
function fill(
  repository: SampleRepository,
  contents: readonly string[],
): Map<string, FsVerityDigest> {
  const index = new ContentIndex(repository);
  const digests = new Map<string, FsVerityDigest>();
  for (const content of contents) {
    const digest = repository.put(content);
    digests.set(content, digest);
    index.add(sha256(content), digest, content.length);
  }
  index.flush();
  index.close();
  return digests;
}

function expectFound(
  repository: SampleRepository,
  digests: ReadonlyMap<string, FsVerityDigest>,
): void {
  const index = new ContentIndex(repository);
  for (const [content, digest] of digests) {
    expect(index.find(sha256(content))).toEqual({ digest, size: content.length });
  }
  index.close();
}

const CONTENTS = Array.from({ length: 100 }, (_, n) => `content ${n}`);

test("content index: what was added is found, before and after it is written, in both algorithms", () => {
  for (const algorithm of ["sha256", "sha512"] as const) {
    const repository = new SampleRepository(algorithm);
    const index = new ContentIndex(repository);
    const digest = repository.put("content");
    expect(index.find(sha256("content"))).toBeUndefined();
    index.add(sha256("content"), digest, 7);
    expect(index.find(sha256("content"))).toEqual({ digest, size: 7 });
    index.flush();
    expect(index.find(sha256("content"))).toEqual({ digest, size: 7 });
    index.close();
    expectFound(repository, fill(repository, CONTENTS));
  }
});

test("content index: what is known is not written again", () => {
  const repository = new SampleRepository();
  fill(repository, CONTENTS);
  const { size } = statSync(repository.at("content-index"));
  fill(repository, CONTENTS);
  expect(statSync(repository.at("content-index")).size).toBe(size);
  expect(size).toBe(64 + 100 * RECORD);
});

test("content index: an object that is gone, or of another size, is not found", () => {
  const repository = new SampleRepository();
  const digests = fill(repository, ["one", "two"]);
  rmSync(repository.objectFile(digests.get("one")!));
  writeFileSync(repository.objectFile(digests.get("two")!), "longer");
  const index = new ContentIndex(repository);
  expect(index.find(sha256("one"))).toBeUndefined();
  expect(index.find(sha256("two"))).toBeUndefined();
});

test("content index: cut at every byte, whole records are found and writing goes on", () => {
  const repository = new SampleRepository();
  const digests = fill(repository, ["one", "two", "three"]);
  const path = repository.at("content-index");
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 5) {
    writeFileSync(path, whole.subarray(0, length));
    const index = new ContentIndex(repository);
    const found = [...digests.keys()].filter((each) => index.find(sha256(each)) !== undefined);
    expect(found).toHaveLength(Math.max(0, Math.floor((length - 64) / RECORD)));
    for (const [content, digest] of digests) index.add(sha256(content), digest, content.length);
    index.flush();
    index.close();
    expectFound(repository, digests);
    expect((statSync(path).size - 64) % RECORD).toBe(0);
  }
});

test("content index: a flipped bit anywhere loses at most its own record", () => {
  const repository = new SampleRepository();
  const digests = fill(repository, ["one", "two", "three"]);
  const path = repository.at("content-index");
  const whole = readFileSync(path);
  for (let at = 64; at < whole.length; at++) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 1 << (at % 8);
    writeFileSync(path, bytes);
    const index = new ContentIndex(repository);
    const found = [...digests].filter(([content, digest]) => {
      const entry = index.find(sha256(content));
      if (entry !== undefined) expect(entry.digest).toBe(digest);
      return entry !== undefined;
    });
    expect(found).toHaveLength(2);
    index.close();
  }
});

test("content index: what is no index is replaced, and what a later version wrote is left alone", () => {
  const repository = new SampleRepository();
  const path = repository.at("content-index");
  for (const bytes of [Buffer.alloc(0), randomBytes(1000), Buffer.from("CfsContentIndex\n")]) {
    writeFileSync(path, bytes);
    expectFound(repository, fill(repository, CONTENTS));
  }
  // The other algorithm's.
  new SampleRepository("sha512", repository.directory).close();
  const other = new SampleRepository("sha512", repository.directory);
  expectFound(other, fill(other, CONTENTS));
  const later = readFileSync(path);
  later[16] = 2;
  writeFileSync(path, later);
  fill(other, ["more"]);
  expect(readFileSync(path)).toEqual(later);
});

test("content index: a directory in its place is nothing", () => {
  const repository = new SampleRepository();
  run("mkdir", [repository.at("content-index")]);
  fill(repository, CONTENTS);
  expect(new ContentIndex(repository).find(sha256("content 1"))).toBeUndefined();
});

test("content index: an index that is open sees its file replaced", async () => {
  const repository = new SampleRepository();
  const digests = fill(repository, CONTENTS);
  const open = new ContentIndex(repository);
  expect(await rebuildContentIndex(repository)).toBe(100);
  const digest = repository.put("later");
  open.add(sha256("later"), digest, 5);
  open.flush();
  open.close();
  expectFound(repository, new Map([...digests, ["later", digest]]));
});

test("content index: rebuilt out of the objects, without streams and images", async () => {
  const repository = new SampleRepository("sha512");
  const digests = fill(repository, CONTENTS);
  repository.stream("stream", { objects: [...digests.values()] });
  repository.image([...digests.values()]);
  rmSync(repository.at("content-index"));
  expect(await rebuildContentIndex(repository)).toBe(100);
  expectFound(repository, digests);
});

test("content index: compacted, torn and dead records are gone", async () => {
  const repository = new SampleRepository();
  const digests = fill(repository, CONTENTS);
  for (const content of CONTENTS.slice(0, 60)) {
    rmSync(repository.objectFile(digests.get(content)!));
    digests.delete(content);
  }
  const path = repository.at("content-index");
  truncateSync(path, statSync(path).size - 1);
  digests.delete("content 99");
  appendFileSync(path, "x");
  expect(await compactContentIndex(repository)).toBe(39);
  expect(statSync(path).size).toBe(64 + 39 * RECORD);
  expectFound(repository, digests);
});

const WRITER = `
  import { createHash } from "node:crypto";
  import { ContentIndex } from ${JSON.stringify(pathToFileURL(join(CHECKOUT, "dist/store/content-index/mod.js")).href)};
  import { AT_FDCWD, O_RDONLY, openat } from ${JSON.stringify(pathToFileURL(join(CHECKOUT, "dist/floor/mod.js")).href)};
  const [directory, first] = process.argv.slice(1);
  const repository = { path: directory, dirfd: openat(AT_FDCWD, directory, O_RDONLY), algorithm: "sha256", verity: "missing-allowed" };
  const index = new ContentIndex(repository);
  const hex = (n) => createHash("sha256").update(String(n)).digest("hex");
  for (let n = 0; n < 2000; n++) {
    index.add("sha256:" + hex(Number(first) * 1000000 + n), hex(n), n);
    if (n % 50 === 49) index.flush();
  }
  index.close();
`;

test("content index: eight processes write at once, one is killed; no record is lost or torn", async () => {
  const repository = new SampleRepository();
  const writers = Array.from({ length: 8 }, (_, n) =>
    spawn(
      process.execPath,
      ["--input-type=module", "-e", WRITER, repository.directory, String(n)],
      {
        stdio: ["ignore", "ignore", "inherit"],
      },
    ),
  );
  setTimeout(() => writers[0]!.kill("SIGKILL"), 250);
  await Promise.all(writers.map((writer) => once(writer, "exit")));
  await compactContentIndex(repository); // drops what is torn, and all: there are no objects
  expect(statSync(repository.at("content-index")).size).toBe(64);
  const again = writers
    .slice(1)
    .map((_, n) =>
      spawn(process.execPath, [
        "--input-type=module",
        "-e",
        WRITER,
        repository.directory,
        String(n),
      ]),
    );
  await Promise.all(again.map((writer) => once(writer, "exit")));
  expect(statSync(repository.at("content-index")).size).toBe(64 + 7 * 2000 * RECORD);
}, 60_000);

needsThat(cfsctlMissing).test("content index: cfsctl's gc and fsck leave it alone", () => {
  const repository = new SampleRepository();
  const digests = fill(repository, CONTENTS);
  repository.stream("stream", { objects: [...digests.values()] });
  repository.ref("streams", "ref", "stream");
  flock(repository.dirfd, "none", { wait: true }); // else its gc would wait for us
  const cfsctl = (...args: string[]): ReturnType<typeof run> =>
    run(process.env["COMPOSEFS_CFSCTL"]!, ["--insecure", "--repo", repository.directory, ...args]);
  expect(cfsctl("gc").stdout.toString()).toContain("Objects: 0 removed");
  const checked = cfsctl("fsck");
  expect(checked.stdout.toString()).toContain("status: ok");
  expect(checked.status).toBe(0);
  expectFound(repository, digests);
});
