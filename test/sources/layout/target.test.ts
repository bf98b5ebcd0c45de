import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ociDigestHex, parseManifest } from "#src/core/mod.ts";
import { openImageSource, openImageTarget, resolveImage } from "#src/sources/mod.ts";
import { collect } from "../../suites/image-source.ts";
import { describeImageTarget, putImage } from "../../suites/image-target.ts";
import { needs } from "../../support/needs.ts";
import { makeImage } from "../../support/oci-image.ts";
import { makePodmanStorage } from "../../support/podman-storage.ts";
import { run } from "../../support/run.ts";
import { CHECKOUT } from "../../support/shared.ts";
import { tempDir } from "../../support/temp.ts";

for (const transport of ["oci", "oci-archive"] as const) {
  describeImageTarget(transport, {
    algorithms: ["sha256", "sha512"],
    open: async () => {
      const name = `${transport}:${join(tempDir(), "image")}:v1`;
      return { target: await openImageTarget(name), read: () => openImageSource(name) };
    },
  });

  describe(`${transport}: images written`, () => {
    needs("skopeo", "umoci").test("are read by skopeo and umoci", async () => {
      for (const compression of ["none", "gzip", "zstd"] as const) {
        const name = `${transport}:${join(tempDir(), "image")}:v1`;
        const target = await openImageTarget(name);
        await putImage(target, await makeImage({ compression: [compression] }));
        await target.close();
        const copy = join(tempDir(), "copy");
        const copied = run("skopeo", [
          "copy",
          "--quiet",
          "--insecure-policy",
          name,
          `oci:${copy}:v1`,
        ]);
        expect([copied.status, copied.stderr]).toEqual([0, ""]);
        // umoci of Debian 12 does not know zstd.
        if (compression === "zstd") continue;
        const bundle = join(tempDir(), "bundle");
        const unpacked = run("umoci", ["unpack", "--rootless", "--image", `${copy}:v1`, bundle]);
        expect(unpacked.status, unpacked.stderr).toBe(0);
        expect(readdirSync(join(bundle, "rootfs")).sort()).toEqual(["big", "etc", "link"]);
      }
    });

    needs("root", "mount", "overlay", "podman").test("are loaded by podman", async () => {
      const directory = tempDir();
      const target = await openImageTarget(`${transport}:${directory}/image:localhost/made:v1`);
      const image = await makeImage();
      await putImage(target, image);
      await target.close();
      const storage = makePodmanStorage();
      if (transport === "oci") storage.pull(directory, "image:localhost/made:v1");
      else storage.podman("load", "--quiet", "--input", `${directory}/image`);
      const listed = storage.podman("images", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}");
      if (transport === "oci-archive") expect(listed).toContain("localhost/made:v1");
      expect(listed).toContain(image.descriptor.digest);
    });
  });
}

async function write(
  directory: string,
  tag: string,
  compression: "none" | "gzip",
): Promise<string> {
  const target = await openImageTarget(`oci:${directory}${tag === "" ? "" : `:${tag}`}`);
  const image = await makeImage({ compression: [compression] });
  await putImage(target, image);
  await target.close();
  return image.descriptor.digest;
}

const readIndex = (directory: string): { manifests: { digest: string; annotations?: object }[] } =>
  JSON.parse(readFileSync(join(directory, "index.json"), "utf8"));

describe("oci: the index", () => {
  test("keeps other images, and replaces one of the same tag", async () => {
    const directory = join(tempDir(), "layout");
    const [a, b] = [await write(directory, "a", "none"), await write(directory, "b", "gzip")];
    expect(readIndex(directory).manifests.map(({ digest }) => digest)).toEqual([a, b]);
    await write(directory, "a", "gzip");
    expect(readIndex(directory).manifests.map(({ digest }) => digest)).toEqual([b, b]);
    await write(directory, "", "gzip");
    await write(directory, "", "gzip");
    expect(readIndex(directory).manifests).toHaveLength(3);
  });

  test("keeps what it does not know", async () => {
    const directory = join(tempDir(), "layout");
    await write(directory, "a", "none");
    const index = { ...readIndex(directory), annotations: { x: "y" }, "org.example": [1] };
    writeFileSync(join(directory, "index.json"), JSON.stringify(index));
    await write(directory, "b", "none");
    expect(readIndex(directory)).toMatchObject({ annotations: { x: "y" }, "org.example": [1] });
  });

  test("is not written over a broken one", async () => {
    const directory = join(tempDir(), "layout");
    await write(directory, "a", "none");
    writeFileSync(join(directory, "index.json"), "{}");
    await expect(write(directory, "b", "none")).rejects.toMatchObject({ code: "invalid-manifest" });
    expect(readFileSync(join(directory, "index.json"), "utf8")).toBe("{}");
  });
});

describe("oci: places that are taken", () => {
  test("a directory with other things is refused, an empty one is not", async () => {
    const directory = tempDir();
    await write(directory, "a", "none");
    const other = tempDir();
    writeFileSync(join(other, "precious"), "");
    await expect(write(other, "a", "none")).rejects.toMatchObject({ code: "output-failed" });
    expect(readdirSync(other)).toEqual(["precious"]);
    await expect(openImageTarget(`oci-archive:${directory}`)).rejects.toMatchObject({
      code: "output-failed",
    });
  });

  test("a blob that is cut is replaced, a link is not followed", async () => {
    const directory = tempDir();
    const image = await makeImage({ compression: ["gzip"] });
    const { layers } = parseManifest(image.manifest);
    const blobs = join(directory, "blobs/sha256");
    await write(directory, "a", "none");
    mkdirSync(blobs, { recursive: true });
    const victim = join(tempDir(), "victim");
    writeFileSync(victim, "victim");
    writeFileSync(join(blobs, ociDigestHex(layers[0]!.digest)), "cut");
    symlinkSync(victim, join(blobs, ociDigestHex(layers[1]!.digest)));
    await write(directory, "b", "gzip");
    const source = await openImageSource(`oci:${directory}:b`);
    const { manifest } = await resolveImage(source);
    for (const layer of manifest.layers) await collect(source.openBlob(layer));
    await source.close();
    expect(readFileSync(victim, "utf8")).toBe("victim");
  });

  test.each(["docker-archive:/x", "containers-storage:x", "oci:/x:@1"])(
    "%s is no target",
    async (name) => {
      await expect(openImageTarget(name)).rejects.toMatchObject({ code: "invalid-reference" });
    },
  );
});

test("oci-archive: what is given up leaves nothing, and the old archive stays", async () => {
  const directory = tempDir();
  const file = join(directory, "image.tar");
  const name = `oci-archive:${file}`;
  const given = await openImageTarget(name);
  await given.discard!();
  expect(readdirSync(directory)).toEqual([]);
  const target = await openImageTarget(name);
  await putImage(target, await makeImage());
  await target.close();
  const before = readFileSync(file);
  const again = await openImageTarget(name);
  await putImage(again, await makeImage({ compression: ["none"] }));
  await again.discard!();
  expect(readFileSync(file).equals(before)).toBe(true);
  expect(readdirSync(directory)).toEqual(["image.tar"]);
});

needs("root", "mount").test("a disk that is full keeps the old image", async () => {
  const directory = tempDir();
  run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", directory]);
  try {
    const small = await makeImage({ layers: [Buffer.alloc(1024)], compression: ["none"] });
    const large = await makeImage({ layers: [Buffer.alloc(8 << 20)], compression: ["none"] });
    for (const name of [`oci:${directory}/oci:v1`, `oci-archive:${directory}/image.tar:v1`]) {
      const first = await openImageTarget(name);
      await putImage(first, small);
      await first.close();
      const second = await openImageTarget(name);
      await expect(putImage(second, large)).rejects.toMatchObject({ errnoName: "ENOSPC" });
      await second.discard!();
      await second.discard!();
      const source = await openImageSource(name);
      expect((await source.resolve()).descriptor.digest).toBe(small.descriptor.digest);
      await source.close();
    }
    expect(readdirSync(directory).sort()).toEqual(["image.tar", "oci"]);
  } finally {
    run("umount", [directory]);
  }
});

needs("time").test(
  "a writer that is killed leaves the old layout or the new one",
  async () => {
    const directory = tempDir();
    const digests = [await write(`${directory}/oci`, "v1", "none")];
    for (const name of [`oci:${directory}/oci:v1`, `oci-archive:${directory}/image.tar:v1`]) {
      const program = `
      import { openImageSource, openImageTarget } from "${CHECKOUT}/dist/sources/mod.js";
      import { parseManifest } from "${CHECKOUT}/dist/core/mod.js";
      const source = await openImageSource("oci:${directory}/source:v1");
      console.log("ready");
      for (;;) {
        const { bytes } = await source.resolve();
        const { config, layers, mediaType } = parseManifest(bytes);
        const target = await openImageTarget("${name}");
        for (const blob of [config, ...layers]) await target.putBlob(blob, source.openBlob(blob));
        await target.putManifest(bytes, mediaType, target.tag);
        await target.close();
      }`;
      digests.push(await write(`${directory}/source`, "v1", "gzip"));
      for (let i = 0; i < 15; i++) {
        const child = spawn("node", ["--input-type=module", "--eval", program], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        await once(child.stdout, "data");
        await new Promise((resolve) => setTimeout(resolve, 3 * i));
        child.kill("SIGKILL");
        await once(child, "exit");
        const isThere = name.startsWith("oci:") || existsSync(`${directory}/image.tar`);
        if (!isThere) continue;
        const source = await openImageSource(name);
        const { manifest, descriptor } = await resolveImage(source);
        expect(digests).toContain(descriptor.digest);
        for (const layer of manifest.layers) await collect(source.openBlob(layer));
        await source.close();
      }
    }
  },
  120_000,
);
