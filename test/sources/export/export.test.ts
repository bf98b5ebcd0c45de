import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  MEDIA_TYPE,
  byteString,
  layerCompression,
  ociDigestHex,
  parseImageConfig,
  parseManifest,
} from "#src/core/mod.ts";
import type { LayerCompression } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import {
  decompressLayer,
  exportImage,
  openImageSource,
  openImageTarget,
  pullImage,
  resolveImage,
} from "#src/sources/mod.ts";
import type { ExportOptions, ExportReport } from "#src/sources/mod.ts";
import { openOciImage } from "#src/store/mod.ts";
import type { Repository } from "#src/store/mod.ts";
import { newRepository } from "../../store/support.ts";
import { collect } from "../../suites/image-source.ts";
import { needs, needsThat } from "../../support/needs.ts";
import { descriptorOf, jsonBytes } from "../../support/oci-documents.ts";
import { SAMPLE_LAYERS, makeImage, writeLayout } from "../../support/oci-image.ts";
import type { TestImage } from "../../support/oci-image.ts";
import { makePodmanStorage } from "../../support/podman-storage.ts";
import { run } from "../../support/run.ts";
import { archive, header, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";
import { findLibzstd } from "../../support/zstd.ts";

const zstd = await loadZstd();
const libzstd = needsThat((await findLibzstd()) === undefined ? "needs libzstd.so.1" : undefined);
const TAG = byteString("image");
/** What can be a root file system, so that an EROFS image can be made. */
const ROOTFS = [
  archive(header({ name: "usr/", typeflag: "5", mode: 0o755 })),
  ...SAMPLE_LAYERS,
] as const;

async function pulled(image: TestImage): Promise<Repository> {
  const layout = tempDir();
  writeLayout(layout, [{ ...image, tag: "v1" }]);
  const repo = newRepository("sha256");
  const source = await openImageSource(`oci:${layout}:v1`);
  await pullImage(repo, source, { tag: TAG });
  await source.close();
  return repo;
}

async function exported(
  repo: Repository,
  name: string,
  options: ExportOptions = {},
): Promise<ExportReport> {
  const target = await openImageTarget(name);
  try {
    const report = await exportImage(repo, openOciImage(repo, TAG, zstd), target, options);
    await target.close();
    return report;
  } catch (error) {
    await target.discard!();
    throw error;
  }
}

/** Reads an image, checks all of it, and returns its layers without compression. */
async function readBack(name: string): Promise<{
  manifest: Buffer;
  config: Buffer;
  layers: Buffer[];
  compressions: (LayerCompression | undefined)[];
}> {
  const source = await openImageSource(name);
  const { bytes, manifest } = await resolveImage(source);
  const config = Buffer.from(await source.readManifest(manifest.config));
  const compressions = manifest.layers.map(({ mediaType }) => layerCompression(mediaType));
  const layers: Buffer[] = [];
  for (const [i, layer] of manifest.layers.entries()) {
    layers.push(await collect(decompressLayer(source.openBlob(layer), compressions[i]!)));
  }
  await source.close();
  return { manifest: Buffer.from(bytes), config, layers, compressions };
}

describe("exportImage", () => {
  for (const transport of ["oci", "oci-archive"]) {
    for (const compression of [undefined, "gzip", "zstd", "none"] as const) {
      const conditional = compression === "zstd" ? libzstd : needsThat(undefined);
      const how = compression ?? "as it was";
      conditional.test(`to ${transport}, ${how}: keeps config and layers`, async () => {
        const image = await makeImage({ layers: ROOTFS, compression: ["gzip", "none"] });
        const repo = await pulled(image);
        const name = `${transport}:${join(tempDir(), "out")}:v2`;
        const report = await exported(repo, name, { compression });
        const read = await readBack(name);
        expect(read.config.equals(image.config)).toBe(true);
        for (const [i, layer] of read.layers.entries()) expect(layer.equals(ROOTFS[i]!)).toBe(true);
        const asTheyWere = ROOTFS.map((_, i) => (i % 2 === 0 ? "gzip" : "none"));
        expect(read.compressions).toEqual(
          compression === undefined ? asTheyWere : ROOTFS.map(() => compression),
        );
        expect(report.manifestDigest).toBe(descriptorOf(read.manifest, "").digest);
        expect(report.originalManifestDigest).toBe(image.descriptor.digest);
        expect(report.layers.map(({ diffId }) => diffId)).toEqual(image.diffIds);
        repo.close();
      });
    }
  }

  test("gives the very image back where nothing is compressed", async () => {
    const image = await makeImage({ layers: ROOTFS, compression: ["none"] });
    const repo = await pulled(image);
    const name = `oci:${join(tempDir(), "out")}:v2`;
    const report = await exported(repo, name);
    expect(report.manifestDigest).toBe(image.descriptor.digest);
    expect((await readBack(name)).manifest.equals(image.manifest)).toBe(true);
    repo.close();
  });

  test("writes the same bytes each time, and not again what is there", async () => {
    const image = await makeImage({ layers: [...ROOTFS, ROOTFS[1]!] });
    const repo = await pulled(image);
    const name = `oci:${join(tempDir(), "out")}:v2`;
    const first = await exported(repo, name);
    const second = await exported(repo, name);
    expect(first.layers.map(({ wasThere }) => wasThere)).not.toContain(true);
    expect(second.layers.map(({ wasThere }) => wasThere)).not.toContain(false);
    expect(second.manifestDigest).toBe(first.manifestDigest);
    const progress: number[] = [];
    await exported(repo, name, { onProgress: ({ bytes }) => void progress.push(bytes) });
    const total = ROOTFS.reduce((sum, layer) => sum + layer.length, ROOTFS[1]!.length);
    expect(progress.at(-1)).toBe(total);
    expect([...progress].sort((a, b) => a - b)).toEqual(progress);
    repo.close();
  });

  test("keeps what it does not know of the manifest, and drops what belongs to old blobs", async () => {
    const image = await makeImage({ layers: ROOTFS });
    const old = JSON.parse(image.manifest.toString());
    const manifest = jsonBytes({
      ...old,
      mediaType: MEDIA_TYPE.dockerManifest,
      config: { ...old.config, mediaType: MEDIA_TYPE.dockerConfig },
      annotations: { kept: "yes" },
      "org.example": { unknown: [1] },
      layers: old.layers.map((layer: object) => ({
        ...layer,
        mediaType: `${MEDIA_TYPE.dockerLayer}.gzip`,
        urls: ["https://example.com/blob"],
        annotations: {
          "io.github.containers.zstd-chunked.manifest-checksum": "x",
          "org.example.layer": "kept",
        },
      })),
    });
    const descriptor = descriptorOf(manifest, MEDIA_TYPE.dockerManifest);
    const blobs = new Map([...image.blobs, [descriptor.digest, manifest]]);
    const repo = await pulled({ ...image, manifest, descriptor, blobs });
    const name = `oci:${join(tempDir(), "out")}:v2`;
    await exported(repo, name, { compression: "none" });
    const written = JSON.parse((await readBack(name)).manifest.toString());
    expect(written).toMatchObject({
      mediaType: MEDIA_TYPE.ociManifest,
      annotations: { kept: "yes" },
      "org.example": { unknown: [1] },
      config: { mediaType: MEDIA_TYPE.ociConfig, digest: old.config.digest },
    });
    expect(written.layers[0]).toEqual({
      mediaType: MEDIA_TYPE.ociLayer,
      digest: image.diffIds[0],
      size: ROOTFS[0].length,
      annotations: { "org.example.layer": "kept" },
    });
    repo.close();
  });

  libzstd.test("writes zstd:chunked, and keeps it so", async () => {
    const image = await makeImage({ layers: ROOTFS });
    const repo = await pulled(image);
    const name = `oci:${join(tempDir(), "out")}:v2`;
    const report = await exported(repo, name, { compression: "zstd:chunked" });
    const read = await readBack(name);
    for (const [i, layer] of read.layers.entries()) expect(layer.equals(ROOTFS[i]!)).toBe(true);
    const { layers } = parseManifest(read.manifest);
    for (const { mediaType, annotations } of layers) {
      expect(mediaType).toBe(`${MEDIA_TYPE.ociLayer}+zstd`);
      expect(annotations).toHaveProperty(["io.github.containers.zstd-chunked.manifest-position"]);
    }
    const second = newRepository("sha256");
    const source = await openImageSource(name);
    await pullImage(second, source, { tag: TAG });
    await source.close();
    const again = await exported(second, `oci:${join(tempDir(), "out")}:v3`);
    expect(again.manifestDigest).toBe(report.manifestDigest);
    repo.close();
    second.close();
  });

  libzstd.test("says which layers cannot be zstd:chunked, and why", async () => {
    const strange = archive(member({ name: "latin-\xff" }, "x".repeat(100)));
    const repo = await pulled(await makeImage({ layers: [...ROOTFS, strange] }));
    const name = `oci:${join(tempDir(), "out")}:v2`;
    const report = await exported(repo, name, { compression: "zstd:chunked" });
    expect(report.layers.map(({ notChunked }) => notChunked !== undefined)).toEqual([
      ...ROOTFS.map(() => false),
      true,
    ]);
    expect((await readBack(name)).layers.at(-1)!.equals(strange)).toBe(true);
    repo.close();
  });

  test("gives artifacts back as they were", async () => {
    const blob = Buffer.from("some content of an artifact, of more than 64 bytes".repeat(3));
    const config = Buffer.from("{}");
    const layer = descriptorOf(blob, "application/x-thing");
    const configOf = descriptorOf(config, MEDIA_TYPE.ociEmpty);
    const manifest = jsonBytes({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      artifactType: "application/x-thing",
      config: configOf,
      layers: [layer],
    });
    const descriptor = descriptorOf(manifest, MEDIA_TYPE.ociManifest);
    const layout = tempDir();
    const blobs = new Map([
      [layer.digest, blob],
      [configOf.digest, config],
      [descriptor.digest, manifest],
    ]);
    writeLayout(layout, [{ descriptor, blobs, tag: "a" }]);
    const repo = newRepository();
    const source = await openImageSource(`oci:${layout}:a`);
    await pullImage(repo, source, { tag: TAG });
    await source.close();
    const name = `oci:${join(tempDir(), "out")}:v2`;
    const report = await exported(repo, name, { compression: "gzip" });
    expect(report.manifestDigest).toBe(descriptor.digest);
    const read = await openImageSource(name);
    expect((await collect(read.openBlob(layer))).equals(blob)).toBe(true);
    await read.close();
    repo.close();
  });

  test("finds a damaged object, and writes no image", async () => {
    const image = await makeImage({ layers: ROOTFS });
    const repo = await pulled(image);
    const objects = join(repo.path, "objects");
    const big = readdirSync(objects, { recursive: true, encoding: "utf8" })
      .map((file) => join(objects, file))
      .find((file) => statSync(file).size === 3_000_000)!;
    const content = readFileSync(big);
    content[5]! ^= 1;
    chmodSync(big, 0o644);
    writeFileSync(big, content);
    const directory = tempDir();
    for (const name of [`oci:${directory}/layout:v1`, `oci-archive:${directory}/archive:v1`]) {
      await expect(exported(repo, name)).rejects.toMatchObject({ code: "object-corrupt" });
    }
    expect(existsSync(`${directory}/archive`)).toBe(false);
    const index = JSON.parse(readFileSync(`${directory}/layout/index.json`, "utf8"));
    expect(index.manifests).toEqual([]);
    repo.close();
  });

  test("stops when it is told to", async () => {
    const repo = await pulled(await makeImage({ layers: ROOTFS }));
    const directory = tempDir();
    const reason = new Error("stop");
    const options = {
      signal: AbortSignal.abort(reason),
      temporaryDirectory: byteString(directory),
    };
    await expect(exported(repo, `oci:${directory}/out`, options)).rejects.toBe(reason);
    expect(readdirSync(directory)).toEqual(["out"]);
    repo.close();
  });

  test("writes a manifest whose blobs are all there", async () => {
    const repo = await pulled(await makeImage({ layers: ROOTFS }));
    const directory = join(tempDir(), "out");
    await exported(repo, `oci:${directory}:v1`);
    const { manifest } = await readBack(`oci:${directory}:v1`);
    const { config, layers } = parseManifest(manifest);
    for (const { digest, size } of [config, ...layers]) {
      expect(statSync(join(directory, "blobs/sha256", ociDigestHex(digest))).size).toBe(size);
    }
    repo.close();
  });
});

describe("exportImage: what others make of it", () => {
  needs("skopeo", "umoci").test("skopeo copies it, umoci unpacks it", async () => {
    const repo = await pulled(await makeImage({ layers: ROOTFS }));
    for (const transport of ["oci", "oci-archive"]) {
      for (const compression of ["gzip", "zstd", "zstd:chunked", "none"] as const) {
        const name = `${transport}:${join(tempDir(), "out")}:v2`;
        const report = await exported(repo, name, { compression });
        const copy = join(tempDir(), "copy");
        const options = ["--quiet", "--insecure-policy"];
        const done = run("skopeo", ["copy", ...options, name, `oci:${copy}:v3`]);
        expect([done.status, done.stderr]).toEqual([0, ""]);
        const source = await openImageSource(`oci:${copy}:v3`);
        const { manifest, descriptor } = await resolveImage(source);
        await source.close();
        // skopeo compresses what is not compressed.
        if (compression !== "none") expect(descriptor.digest).toBe(report.manifestDigest);
        expect(manifest.layers).toHaveLength(ROOTFS.length);
        // umoci of Debian 12 does not know zstd.
        if (compression.startsWith("zstd")) continue;
        const bundle = join(tempDir(), "bundle");
        const unpacked = run("umoci", ["unpack", "--rootless", "--image", `${copy}:v3`, bundle]);
        expect(unpacked.status, unpacked.stderr).toBe(0);
        expect(readFileSync(join(bundle, "rootfs/big")).length).toBe(3_000_000);
        expect(existsSync(join(bundle, "rootfs/etc/motd"))).toBe(false);
      }
    }
    repo.close();
  });

  needs("root", "mount", "overlay", "podman").test(
    "podman loads it, and what podman stores makes the same EROFS image",
    async () => {
      const image = await makeImage({ layers: ROOTFS });
      const repo = await pulled(image);
      const file = join(tempDir(), "out.tar");
      await exported(repo, `oci-archive:${file}:localhost/exported:v1`);
      const storage = makePodmanStorage();
      storage.podman("load", "--quiet", "--input", file);
      const source = await openImageSource(`${storage.prefix}localhost/exported:v1`);
      const { manifest } = await resolveImage(source);
      const { diffIds } = parseImageConfig(await source.readManifest(manifest.config));
      expect(diffIds).toEqual(image.diffIds);
      const second = newRepository("sha256");
      const report = await pullImage(second, source, { tag: TAG });
      await source.close();
      const here = openOciImage(repo, TAG, zstd);
      const again = openOciImage(second, TAG, zstd);
      expect([...again.erofs]).toEqual([...here.erofs]);
      expect(report.layers).toHaveLength(ROOTFS.length);
      repo.close();
      second.close();
    },
  );
});
