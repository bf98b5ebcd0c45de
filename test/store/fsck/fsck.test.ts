/** fsck, every kind of damage one by one, over repositories made by hand. */

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { CONTENT_TYPE, byteString } from "#src/core/mod.ts";
import type { FsVerityDigest } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { checkRepository } from "#src/store/fsck/mod.ts";
import type { FsckOptions, FsckReport } from "#src/store/fsck/mod.ts";
import { Repository } from "#src/store/mod.ts";
import { SampleRepository } from "../sample.ts";

const zstd = await loadZstd();

async function check(
  sample: SampleRepository,
  options: Partial<FsckOptions> = {},
): Promise<FsckReport> {
  const repository = Repository.open(byteString(sample.directory));
  try {
    return await checkRepository(repository, { decompression: zstd, ...options });
  } finally {
    repository.close();
  }
}

function kinds({ findings }: FsckReport): string[] {
  return findings.map(({ kind }) => kind).sort();
}

interface Scene {
  readonly repository: SampleRepository;
  readonly file: FsVerityDigest;
  readonly stream: FsVerityDigest;
  readonly image: FsVerityDigest;
}

/** A stream and an image with a ref each, which share a file. */
function scene(): Scene {
  const repository = new SampleRepository();
  const file = repository.put("x".repeat(100));
  const stream = repository.stream("stream", { objects: [file] });
  repository.ref("streams", "some/stream", "stream");
  const image = repository.image([file, repository.put("another")], "image");
  return { repository, file, stream, image };
}

test("fsck: an empty and a sound repository have no damage", async () => {
  expect(await check(new SampleRepository("sha512"))).toMatchObject({ ok: true, findings: [] });
  const { repository } = scene();
  expect(await check(repository)).toEqual({
    ok: true,
    objects: { checked: 4, damaged: 0 },
    streams: { checked: 1, damaged: 0 },
    images: { checked: 1, damaged: 0 },
    ociImages: { checked: 0, damaged: 0 },
    brokenLinks: 0,
    missingObjects: 0,
    findings: [],
    hurt: [],
  });
});

test("fsck: an object of other content hurts the images that need it, by file", async () => {
  const { repository, file } = scene();
  writeFileSync(repository.objectFile(file), "y".repeat(100));
  const report = await check(repository);
  expect(kinds(report)).toEqual(["object-digest-mismatch"]);
  expect(report.hurt).toEqual([
    {
      name: "streams/refs/some/stream",
      isUnusable: true,
      files: [],
      fileCount: 0,
      objects: [file],
    },
    { name: "images/refs/image", isUnusable: false, files: ["/0"], fileCount: 1, objects: [file] },
  ]);
});

test("fsck: --metadata-only does not see that, but what is missing", async () => {
  const { repository, file, image } = scene();
  writeFileSync(repository.objectFile(file), "y".repeat(100));
  expect(await check(repository, { metadataOnly: true })).toMatchObject({ ok: true });
  rmSync(repository.objectFile(file));
  const report = await check(repository, { metadataOnly: true });
  expect(kinds(report)).toEqual(["object-missing"]);
  expect(report.missingObjects).toBe(1);
  expect(report.hurt.map(({ name }) => name)).toEqual([
    "streams/refs/some/stream",
    "images/refs/image",
  ]);
  expect(report.images).toEqual({ checked: 1, damaged: 1 });
  expect(image).toHaveLength(64);
});

test("fsck: damage of what nothing needs hurts nobody", async () => {
  const { repository } = scene();
  writeFileSync(repository.objectFile(repository.put("garbage")), "changed");
  const report = await check(repository);
  expect(kinds(report)).toEqual(["object-digest-mismatch"]);
  expect(report.hurt).toEqual([]);
});

test("fsck: a stream that is damaged, missing, or no stream", async () => {
  for (const [bytes, expected] of [
    [undefined, ["broken-symlink", "object-missing"]],
    ["damaged", ["object-digest-mismatch"]],
  ] as const) {
    const { repository, stream } = scene();
    if (bytes === undefined) rmSync(repository.objectFile(stream));
    else writeFileSync(repository.objectFile(stream), bytes);
    const report = await check(repository);
    expect(kinds(report)).toEqual(expected);
    expect(report.streams.damaged).toBe(1);
    expect(report.hurt).toMatchObject([{ name: "streams/refs/some/stream", isUnusable: true }]);
  }
  const { repository } = scene();
  repository.link("streams", "no-stream", repository.put("no stream at all, but whole"));
  expect(kinds(await check(repository))).toEqual(["stream-read-failed"]);
});

test("fsck: an image that is damaged, missing, no image, or under another name", async () => {
  for (const [bytes, expected] of [
    [undefined, ["broken-symlink", "object-missing"]],
    ["damaged", ["object-digest-mismatch"]],
  ] as const) {
    const { repository, image } = scene();
    if (bytes === undefined) rmSync(repository.objectFile(image));
    else writeFileSync(repository.objectFile(image), bytes);
    const report = await check(repository);
    expect(kinds(report)).toEqual(expected);
    expect(report.hurt).toMatchObject([{ name: "images/refs/image", isUnusable: true }]);
  }
  const { repository, image } = scene();
  const other = repository.put("no image");
  repository.link("images", other, other);
  repository.link("images", "ab".repeat(32), image);
  const report = await check(repository);
  expect(kinds(report)).toEqual(["image-invalid", "image-invalid"]);
});

test("fsck: refs that lead to nothing", async () => {
  const { repository } = scene();
  repository.ref("streams", "oci/dead", "oci-manifest-sha256:dead");
  repository.ref("images", "dead", "cd".repeat(32));
  const report = await check(repository);
  expect(kinds(report)).toEqual(["broken-symlink", "broken-symlink", "manifest-read-failed"]);
  expect(report.brokenLinks).toBe(2);
  expect(report.hurt).toMatchObject([
    { name: "dead", isUnusable: true },
    { name: "images/refs/dead", isUnusable: true },
  ]);
});

test("fsck: files that do not belong are notes", async () => {
  const { repository } = scene();
  writeFileSync(repository.at("objects/README"), "");
  writeFileSync(repository.at("streams/README"), "");
  mkdirSync(repository.at("images/directory"));
  symlinkSync("loop", repository.at("streams/loop"));
  mkdirSync(repository.at("objects", "aa", "a".repeat(62)), { recursive: true });
  symlinkSync("/etc", repository.at("objects/bb"));
  const report = await check(repository);
  expect(report.ok).toBe(true);
  expect(report.findings.map(({ severity, kind }) => `${severity} ${kind}`)).toEqual(
    Array.from({ length: 6 }, () => "note unexpected-file"),
  );
});

test("fsck: a directory, a pipe, a link in the place of an object that is needed", async () => {
  for (const make of [
    (path: string) => mkdirSync(path),
    (path: string) => symlinkSync("/etc/passwd", path),
  ]) {
    const { repository, file } = scene();
    rmSync(repository.objectFile(file));
    make(repository.objectFile(file));
    const report = await check(repository);
    expect(kinds(report)).toEqual(["object-missing", "unexpected-file"]);
    expect(report.hurt).toHaveLength(2);
  }
});

test("fsck: meta.json that changed under it", async () => {
  const { repository } = scene();
  const open = Repository.open(byteString(repository.directory));
  writeFileSync(repository.at("meta.json"), "{");
  const report = await checkRepository(open, { decompression: zstd });
  expect(kinds(report)).toEqual(["metadata-parse-failed"]);
  rmSync(repository.at("meta.json"));
  expect(kinds(await checkRepository(open, { decompression: zstd }))).toEqual([
    "metadata-parse-failed",
  ]);
  open.close();
});

describe("fsck: tags", () => {
  test("a manifest that is huge, no JSON, or another one", async () => {
    const digest = `sha256:${"ab".repeat(32)}`;
    for (const json of [
      `[${"[".repeat(100_000)}`,
      "{}",
      '{"schemaVersion":2}',
      "x".repeat(5 << 20),
    ]) {
      const repository = new SampleRepository();
      const object = repository.put(json);
      const contentType = CONTENT_TYPE.ociManifest;
      repository.stream(`oci-manifest-${digest}`, { objects: [object], contentType });
      repository.ref("streams", "oci/tag", `oci-manifest-${digest}`);
      const report = await check(repository);
      expect(kinds(report)).toEqual(["manifest-read-failed"]);
      expect(report.ociImages).toEqual({ checked: 1, damaged: 1 });
    }
  });

  test("a name with @ in front", async () => {
    const { repository } = scene();
    repository.ref("streams", "oci/@sha256:x", "stream");
    expect(kinds(await check(repository))).toEqual(["invalid-ref-name"]);
  });
});

test("fsck: many objects, in several threads, each fault once", async () => {
  const repository = new SampleRepository();
  const digests = Array.from({ length: 3000 }, (_, n) => repository.put(`object ${n}`));
  const damaged = digests.filter((_, n) => n % 500 === 7);
  for (const digest of damaged) writeFileSync(repository.objectFile(digest), "damaged");
  const counts: number[] = [];
  const report = await check(repository, { threads: 3, onProgress: (n) => counts.push(n) });
  expect(report.objects).toEqual({ checked: 3000, damaged: damaged.length });
  expect(report.findings.map(({ digest }) => digest ?? "").sort()).toEqual(damaged.sort());
  expect(counts.at(-1)).toBe(3000);
});

test("fsck: an abort ends it", async () => {
  const { repository } = scene();
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(check(repository, { signal })).rejects.toThrow("enough");
});

test("fsck: random bytes and flipped bits everywhere never make it throw", async () => {
  for (let round = 0; round < 60; round++) {
    const { repository, stream, image } = scene();
    const target = round % 2 === 0 ? stream : image;
    const bytes = repository.read(target);
    if (round < 20) randomBytes(round * 20).copy(bytes, 0);
    bytes[Math.floor(Math.random() * bytes.length)]! ^= 1 << (round % 8);
    // Under its right name, so that it is read.
    const digest = repository.put(bytes);
    repository.link("streams", "hostile", digest);
    repository.link("images", digest, digest);
    const report = await check(repository, { deep: true, metadataOnly: round % 3 === 0 });
    expect(report.ok).toBe(false);
    repository.close();
  }
});
