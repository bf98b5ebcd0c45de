import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MEDIA_TYPE, ociDigestHex } from "#src/core/mod.ts";
import type { Descriptor } from "#src/core/mod.ts";
import { openImageSource, resolveImage } from "#src/sources/mod.ts";
import { collect, describeImageSource } from "../../suites/image-source.ts";
import { needs, needsThat } from "../../support/needs.ts";
import { descriptorOf, jsonBytes } from "../../support/oci-documents.ts";
import { makeImage, writeLayout } from "../../support/oci-image.ts";
import type { TestImage } from "../../support/oci-image.ts";
import { run } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";
import { findLibzstd } from "../../support/zstd.ts";

const libzstd = await findLibzstd();

const directories = new Map<string, string>();

function layoutOf(image: TestImage, tag?: string): string {
  const directory = tempDir();
  writeLayout(directory, [{ ...image, ...(tag === undefined ? {} : { tag }) }]);
  directories.set(image.descriptor.digest, directory);
  return directory;
}

function blobFile(directory: string, { digest }: Descriptor): string {
  return join(directory, "blobs", digest.split(":")[0]!, ociDigestHex(digest));
}

function flipLastByte(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(file, bytes);
}

describeImageSource("oci: with sha256 and gzip", {
  keepsBytes: true,
  open: (image) => openImageSource(`oci:${layoutOf(image, "v1")}:v1`),
  damage: (image, blob) => flipLastByte(blobFile(directories.get(image.descriptor.digest)!, blob)),
});

if (libzstd !== undefined) {
  describeImageSource("oci: with sha512, zstd and none", {
    keepsBytes: true,
    image: { algorithm: "sha512", compression: ["zstd", "none"] },
    open: (image) => openImageSource(`oci:${layoutOf(image)}`),
  });
}

describeImageSource("oci: by the index for several platforms", {
  keepsBytes: true,
  open: async (image) => {
    const arm = await makeImage({ platform: { os: "linux", architecture: "arm64" } });
    const manifests = [
      { ...arm.descriptor, platform: { os: "linux", architecture: "arm64", variant: "v8" } },
      { ...image.descriptor, platform: { os: "linux", architecture: "amd64" } },
    ];
    const index = jsonBytes({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests });
    const descriptor = descriptorOf(index, MEDIA_TYPE.ociIndex);
    const blobs = new Map([...arm.blobs, ...image.blobs, [descriptor.digest, index]]);
    const directory = tempDir();
    writeLayout(directory, [{ descriptor, blobs, tag: "multi" }]);
    return openImageSource(`oci:${directory}:multi`);
  },
});

describe("oci: which image", () => {
  const twoImages = async (): Promise<{ directory: string; a: TestImage; b: TestImage }> => {
    const a = await makeImage();
    const b = await makeImage({ compression: ["none"] });
    const directory = tempDir();
    writeLayout(directory, [
      { ...a, tag: "a" },
      { ...b, tag: "docker.io/library/b:latest" },
    ]);
    return { directory, a, b };
  };
  const digestOf = async (name: string): Promise<string> => {
    const source = await openImageSource(name);
    try {
      return (await source.resolve()).descriptor.digest;
    } finally {
      await source.close();
    }
  };

  test("is told by tag, place or digest", async () => {
    const { directory, a, b } = await twoImages();
    expect(await digestOf(`oci:${directory}:a`)).toBe(a.descriptor.digest);
    expect(await digestOf(`oci:${directory}:docker.io/library/b:latest`)).toBe(b.descriptor.digest);
    expect(await digestOf(`oci:${directory}:@1`)).toBe(b.descriptor.digest);
    expect(await digestOf(`oci:${directory}@${a.descriptor.digest}`)).toBe(a.descriptor.digest);
    expect(await digestOf(`oci:${directory}:a@${b.descriptor.digest}`)).toBe(b.descriptor.digest);
  });

  test("is refused where it is not clear or not there, with what there is", async () => {
    const { directory } = await twoImages();
    const hint = 'it has the tags "a", "docker.io/library/b:latest"';
    for (const name of [`oci:${directory}`, `oci:${directory}:c`, `oci:${directory}:@2`]) {
      await expect(digestOf(name)).rejects.toMatchObject({ code: "invalid-reference", hint });
    }
  });

  test("is refused where two have the same tag", async () => {
    const directory = tempDir();
    const [a, b] = [await makeImage(), await makeImage({ compression: ["none"] })];
    writeLayout(directory, [
      { ...a, tag: "a" },
      { ...b, tag: "a" },
    ]);
    await expect(digestOf(`oci:${directory}:a`)).rejects.toMatchObject({ code: "corrupt-archive" });
    writeLayout(directory, [
      { ...a, tag: "a" },
      { ...a, tag: "a" },
    ]);
    expect(await digestOf(`oci:${directory}:a`)).toBe(a.descriptor.digest);
  });

  test("is the one for the platform, where the index of the layout has one for each", async () => {
    const directory = tempDir();
    const platform = { os: "linux", architecture: "arm64" };
    const [pc, arm] = [await makeImage(), await makeImage({ platform })];
    writeLayout(directory, [
      { ...pc, platform: { os: "linux", architecture: "amd64" } },
      { ...arm, platform },
    ]);
    const source = await openImageSource(`oci:${directory}`);
    const chosen = await resolveImage(source, { ...platform, variant: undefined });
    expect(chosen.descriptor.digest).toBe(arm.descriptor.digest);
    await source.close();
  });

  test.each(["oci:", "oci::tag", "dir:/tmp", "docker-daemon:x", "/etc", "./x", "ostree:x"])(
    "%s is no name",
    async (name) => {
      await expect(digestOf(name)).rejects.toMatchObject({ code: "invalid-reference" });
    },
  );
});

describe("oci: referrers", () => {
  test("are the manifests of the index that are about another", async () => {
    const image = await makeImage();
    const signature = jsonBytes({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      artifactType: "application/x-signature",
      config: { mediaType: MEDIA_TYPE.ociEmpty, digest: image.descriptor.digest, size: 2 },
      layers: [],
      subject: image.descriptor,
    });
    const descriptor = descriptorOf(signature, MEDIA_TYPE.ociManifest);
    const directory = tempDir();
    writeLayout(directory, [
      { ...image, tag: "a" },
      { descriptor, blobs: new Map([[descriptor.digest, signature]]) },
    ]);
    const source = await openImageSource(`oci:${directory}:a`);
    const digests = async (artifactType?: string): Promise<string[]> => {
      const options = artifactType === undefined ? {} : { artifactType };
      const found = await source.referrers!(image.descriptor.digest, options);
      return found.map(({ digest }) => digest);
    };
    expect(await digests()).toEqual([descriptor.digest]);
    expect(await digests("application/x-signature")).toEqual([descriptor.digest]);
    expect(await digests("application/x-other")).toEqual([]);
    await source.close();
  });
});

describe("oci: hostile and broken layouts", () => {
  const resolving = async (directory: string): Promise<unknown> => {
    const source = await openImageSource(`oci:${directory}`);
    try {
      const { manifest } = await resolveImage(source);
      for (const layer of [manifest.config, ...manifest.layers]) {
        await collect(source.openBlob(layer));
      }
      return "read";
    } finally {
      await source.close();
    }
  };
  const layout = async (): Promise<{ directory: string; image: TestImage; layer: string }> => {
    const image = await makeImage();
    const directory = layoutOf(image);
    const [layer] = JSON.parse(image.manifest.toString()).layers;
    return { directory, image, layer: blobFile(directory, layer) };
  };

  test("links that lead out are refused, those inside are followed", async () => {
    const { directory, layer } = await layout();
    renameSync(layer, join(directory, "moved"));
    symlinkSync("../../moved", layer);
    expect(await resolving(directory)).toBe("read");
    rmSync(layer);
    symlinkSync(join(directory, "moved"), layer);
    await expect(resolving(directory)).rejects.toMatchObject({ code: "corrupt-archive" });
    rmSync(layer);
    symlinkSync("../../../../../../etc/passwd", layer);
    await expect(resolving(directory)).rejects.toMatchObject({ code: "corrupt-archive" });
    rmSync(join(directory, "index.json"));
    symlinkSync("/etc/passwd", join(directory, "index.json"));
    await expect(resolving(directory)).rejects.toMatchObject({ code: "corrupt-archive" });
  });

  test("a pipe or a directory in the place of a blob does not hang", async () => {
    const { directory, layer } = await layout();
    rmSync(layer);
    expect(run("mkfifo", [layer]).status).toBe(0);
    await expect(resolving(directory)).rejects.toMatchObject({ code: "corrupt-archive" });
    rmSync(layer);
    mkdirSync(layer);
    await expect(resolving(directory)).rejects.toMatchObject({ code: "corrupt-archive" });
  });

  test("what is missing is told", async () => {
    for (const file of ["oci-layout", "index.json"]) {
      const { directory } = await layout();
      rmSync(join(directory, file));
      await expect(resolving(directory)).rejects.toThrow(`${file} is missing`);
    }
    const { directory, layer } = await layout();
    rmSync(layer);
    await expect(resolving(directory)).rejects.toMatchObject({ code: "corrupt-archive" });
    await expect(resolving(join(directory, "absent"))).rejects.toMatchObject({
      code: "syscall-failed",
    });
  });

  test("an index that is huge, or goes round in a circle, is refused", async () => {
    const { directory } = await layout();
    writeFileSync(join(directory, "index.json"), Buffer.alloc((1 << 24) + 1, " "));
    await expect(resolving(directory)).rejects.toMatchObject({ code: "corrupt-archive" });
    const deep = tempDir();
    let blobs = new Map<Descriptor["digest"], Buffer>();
    let descriptor = (await makeImage()).descriptor;
    for (let depth = 0; depth < 10; depth++) {
      const index = jsonBytes({ schemaVersion: 2, manifests: [descriptor] });
      descriptor = descriptorOf(index, MEDIA_TYPE.ociIndex);
      blobs = new Map([...blobs, [descriptor.digest, index]]);
    }
    writeLayout(deep, [{ descriptor, blobs }]);
    await expect(resolving(deep)).rejects.toMatchObject({ code: "invalid-manifest" });
  });

  test("another layout version, and another type, are refused", async () => {
    const { directory } = await layout();
    writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
    await expect(resolving(directory)).rejects.toMatchObject({ code: "invalid-manifest" });
    const image = await makeImage();
    const other = tempDir();
    writeLayout(other, [{ ...image, descriptor: { ...image.descriptor, mediaType: "text/x" } }]);
    await expect(resolving(other)).rejects.toMatchObject({ code: "unsupported-media-type" });
  });
});

needs("skopeo", "umoci").describe("oci: layouts of other makers", () => {
  test("umoci's is read", async () => {
    const directory = join(tempDir(), "layout");
    const bundle = join(tempDir(), "bundle");
    const umoci = (...args: string[]): void => {
      const done = run("umoci", args);
      expect([done.status, done.stderr.includes("⨯")]).toEqual([0, false]);
    };
    umoci("init", "--layout", directory);
    umoci("new", "--image", `${directory}:made`);
    umoci("unpack", "--rootless", "--image", `${directory}:made`, bundle);
    writeFileSync(join(bundle, "rootfs", "file"), "content of umoci\n".repeat(1000));
    umoci("repack", "--image", `${directory}:made`, bundle);
    const source = await openImageSource(`oci:${directory}:made`);
    const { manifest } = await resolveImage(source);
    expect(manifest.layers).toHaveLength(1);
    await collect(source.openBlob(manifest.layers[0]!));
    await source.close();
  });

  needsThat(libzstd === undefined ? "needs libzstd.so.1" : undefined).test(
    "skopeo's are read, in every compression",
    async () => {
      const image = await makeImage();
      const from = layoutOf(image, "v1");
      for (const format of ["gzip", "zstd", "zstd:chunked"]) {
        const to = join(tempDir(), "copy");
        const done = run("skopeo", [
          "copy",
          "--insecure-policy",
          "--quiet",
          "--dest-compress-format",
          format,
          `oci:${from}:v1`,
          `oci:${to}:v2`,
        ]);
        expect(done.stderr).toBe("");
        const source = await openImageSource(`oci:${to}:v2`);
        const { manifest } = await resolveImage(source);
        for (const layer of manifest.layers) await collect(source.openBlob(layer));
        await source.close();
      }
    },
  );
});
