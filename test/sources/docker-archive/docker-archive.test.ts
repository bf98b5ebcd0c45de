import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ComposefsError, parseImageConfig } from "#src/core/mod.ts";
import { openImageSource, resolveImage } from "#src/sources/mod.ts";
import { collect, describeImageSource } from "../../suites/image-source.ts";
import { dockerArchive } from "../../support/image-archives.ts";
import type { DockerStyle } from "../../support/image-archives.ts";
import { needs } from "../../support/needs.ts";
import { SAMPLE_LAYERS, compressLayer, makeImage, writeLayout } from "../../support/oci-image.ts";
import { run } from "../../support/run.ts";
import { archive, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";
import { findLibzstd } from "../../support/zstd.ts";

const libzstd = await findLibzstd();

function fileOf(bytes: Uint8Array): string {
  const file = join(tempDir(), "image.tar");
  writeFileSync(file, bytes);
  return file;
}

for (const style of ["directories", "blobs"] satisfies DockerStyle[]) {
  describeImageSource(`docker-archive: with ${style}`, {
    keepsBytes: false,
    open: async (image) =>
      openImageSource(`docker-archive:${fileOf(await dockerArchive(image, { style }))}`),
  });
}

describeImageSource(
  "docker-archive: with layers of gzip, in gzip, and a layer that is there twice",
  {
    keepsBytes: false,
    image: { layers: [...SAMPLE_LAYERS, ...SAMPLE_LAYERS] },
    open: async (image) => {
      const bytes = await dockerArchive(image, { compression: "gzip" });
      return openImageSource(`docker-archive:${fileOf(gzipSync(bytes))}`);
    },
  },
);

if (libzstd !== undefined) {
  describeImageSource("docker-archive: with layers of zstd, in zstd", {
    keepsBytes: false,
    open: async (image) => {
      const bytes = await dockerArchive(image, { compression: "zstd" });
      return openImageSource(`docker-archive:${fileOf(await compressLayer(bytes, "zstd"))}`);
    },
  });
}

async function digestOf(name: string): Promise<string> {
  const source = await openImageSource(name);
  try {
    const { descriptor, manifest } = await resolveImage(source);
    const config = parseImageConfig(await source.readManifest(manifest.config));
    expect(manifest.layers.map(({ digest }) => digest)).toEqual(config.diffIds);
    for (const layer of manifest.layers) await collect(source.openBlob(layer));
    return descriptor.digest;
  } finally {
    await source.close();
  }
}

async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    await digestOf(`docker-archive:${fileOf(bytes)}`);
  } catch (error) {
    if (error instanceof ComposefsError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "read";
}

describe("docker-archive: the image", () => {
  test("has the same manifest however it is stored", async () => {
    const image = await makeImage();
    const stored = [
      await dockerArchive(image),
      await dockerArchive(image, { style: "blobs" }),
      await dockerArchive(image, { compression: "gzip" }),
      gzipSync(await dockerArchive(image, { compression: "gzip", style: "blobs" })),
    ];
    const digests = await Promise.all(
      stored.map((bytes) => digestOf(`docker-archive:${fileOf(bytes)}`)),
    );
    expect(new Set(digests).size).toBe(1);
  });

  test("is told by its name as Docker writes it or not, or by its place", async () => {
    const tags = ["debian:latest", "example.com/a/b:c"];
    const file = fileOf(await dockerArchive(await makeImage(), { tags }));
    const digest = await digestOf(`docker-archive:${file}`);
    for (const name of [
      "debian",
      "debian:latest",
      "docker.io/library/debian",
      "example.com/a/b:c",
      "@0",
    ]) {
      expect(await digestOf(`docker-archive:${file}:${name}`)).toBe(digest);
    }
    for (const name of ["debian:other", "example.com/a/b", "@1"]) {
      await expect(digestOf(`docker-archive:${file}:${name}`)).rejects.toMatchObject({
        code: "invalid-reference",
        hint: 'it has "debian:latest", "example.com/a/b:c"',
      });
    }
  });
});

describe("docker-archive: hostile and broken archives", () => {
  const list = (change: object): Buffer =>
    member(
      { name: "manifest.json" },
      JSON.stringify([{ Config: "c.json", RepoTags: null, Layers: [], ...change }]),
    );
  const config = (value: object): Buffer => member({ name: "c.json" }, JSON.stringify(value));
  const empty = { os: "linux", architecture: "amd64", rootfs: { diff_ids: [] } };

  test.each([
    ["no manifest.json", () => [], "corrupt-archive: .*manifest.json is missing"],
    ["no config", () => [list({})], 'corrupt-archive: .*"c.json" is missing'],
    [
      "an empty list",
      () => [member({ name: "manifest.json" }, "[]")],
      "corrupt-archive: .*no image",
    ],
    ["an object for a list", () => [member({ name: "manifest.json" }, "{}")], "invalid-manifest"],
    [
      "a layer that is not there",
      () => [
        list({ Layers: ["l.tar"] }),
        config({ ...empty, rootfs: { diff_ids: [`sha256:${"0".repeat(64)}`] } }),
      ],
      'corrupt-archive: .*"l.tar" is missing',
    ],
    [
      "more layers than diff IDs",
      () => [list({ Layers: ["l.tar"] }), config(empty)],
      "corrupt-archive: .*1 layers, and its config tells of 0",
    ],
    [
      "a layer outside",
      () => [
        list({ Layers: ["../../etc/passwd"] }),
        config({ ...empty, rootfs: { diff_ids: [`sha256:${"0".repeat(64)}`] } }),
      ],
      "corrupt-archive: .*is missing",
    ],
    [
      "a layer with another content",
      () => [
        list({ Layers: ["l.tar"] }),
        config({ ...empty, rootfs: { diff_ids: [`sha256:${"0".repeat(64)}`] } }),
        member({ name: "l.tar" }, "content"),
      ],
      "content-mismatch",
    ],
    [
      "a layer of xz",
      () => [
        list({ Layers: ["l.tar"] }),
        config({ ...empty, rootfs: { diff_ids: [`sha256:${"0".repeat(64)}`] } }),
        member({ name: "l.tar" }, Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])),
      ],
      "unsupported-media-type",
    ],
    [
      "a huge manifest.json",
      () => [member({ name: "manifest.json" }, Buffer.alloc(5 << 20, " "))],
      "corrupt-archive: .*more than",
    ],
    ["two manifest.json", () => [list({}), list({}), config(empty)], "corrupt-archive: .*twice"],
  ])("%s is refused", async (_, members, answer) => {
    expect(await codeOf(archive(...members()))).toMatch(new RegExp(`^${answer}`));
  });

  test("a cut at any of many places is an error of ours, or the whole image", async () => {
    const image = await makeImage({ layers: [Buffer.alloc(1024), Buffer.alloc(2048)] });
    const whole = await dockerArchive(image, { compression: "gzip" });
    const answers = new Set<string>();
    for (let length = whole.length; length >= 0; length -= 101) {
      answers.add((await codeOf(whole.subarray(0, length))).split(":")[0]!);
    }
    expect([...answers].sort()).toEqual(["corrupt-archive", "corrupt-tar", "read"]);
  });
});

needs("skopeo").test("docker-archive: skopeo's is read, and has the same config", async () => {
  const image = await makeImage();
  const layout = tempDir();
  writeLayout(layout, [{ ...image, tag: "v1" }]);
  const file = join(tempDir(), "skopeo.tar");
  const done = run("skopeo", [
    "copy",
    "--insecure-policy",
    "--quiet",
    `oci:${layout}:v1`,
    `docker-archive:${file}:example.com/a/b:c`,
  ]);
  expect(done.stderr).toBe("");
  const source = await openImageSource(`docker-archive:${file}:example.com/a/b:c`);
  const { manifest } = await resolveImage(source);
  expect(manifest.layers.map(({ digest }) => digest)).toEqual(image.diffIds);
  for (const layer of manifest.layers) await collect(source.openBlob(layer));
  await source.close();
});
