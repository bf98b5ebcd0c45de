import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ComposefsError, parseImageConfig } from "#src/core/mod.ts";
import { openImageSource, resolveImage } from "#src/sources/mod.ts";
import type { ImageSource } from "#src/sources/mod.ts";
import { collect, describeImageSource } from "../../suites/image-source.ts";
import { joinLayerPieces } from "../../support/layer-pieces.ts";
import { needs } from "../../support/needs.ts";
import { SAMPLE_LAYERS, makeImage, writeLayout } from "../../support/oci-image.ts";
import type { TestImage } from "../../support/oci-image.ts";
import { makePodmanStorage } from "../../support/podman-storage.ts";
import type { PodmanStorage } from "../../support/podman-storage.ts";
import { run } from "../../support/run.ts";
import { archive, member, pax } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";

const peer = needs("root", "mount", "overlay", "podman", "python3");

function pull(storage: PodmanStorage, image: TestImage): string {
  const parent = tempDir();
  writeLayout(join(parent, "layout"), [{ ...image, tag: "v1" }]);
  return storage.pull(parent, "layout:v1");
}

const plain = { compression: ["none"] } as const;

peer.describe("containers-storage of podman", () => {
  for (const driver of ["overlay", "vfs"] as const) {
    describeImageSource(`containers-storage: ${driver}`, {
      keepsBytes: true,
      image: plain,
      open: async (image) => {
        const storage = makePodmanStorage(driver);
        return openImageSource(`${storage.prefix}${pull(storage, image)}`);
      },
    });
  }

  const readLayers = async (source: ImageSource): Promise<Buffer[]> => {
    const { manifest } = await resolveImage(source);
    const { diffIds } = parseImageConfig(await source.readManifest(manifest.config));
    const layers: Buffer[] = [];
    for (const [i, diffId] of diffIds.entries()) {
      layers.push(await joinLayerPieces(source.openLayer!(manifest.layers[i]!, diffId)));
    }
    return layers;
  };

  test("gives the archives of compressed layers again, with files as descriptors", async () => {
    const storage = makePodmanStorage();
    const layers = [
      ...SAMPLE_LAYERS,
      archive(
        member({ name: "./dir/", typeflag: "5", mode: 0o700 }),
        member({ name: "./dir/latin-\xff" }, "y".repeat(5000)),
        Buffer.concat([
          pax([["SCHILY.xattr.user.x", "\x00\xff"]]),
          member({ name: "x" }, "z".repeat(65)),
        ]),
        member({ name: "etc/issue" }, "changed".repeat(20)),
        member({ name: "empty" }),
        member({ name: "hard", typeflag: "1", linkname: "x" }),
        member({ name: "fifo", typeflag: "6" }),
      ),
    ];
    const image = await makeImage({ layers, compression: ["gzip"] });
    const source = await openImageSource(`${storage.prefix}${pull(storage, image)}`);
    const { manifest, bytes } = await resolveImage(source);
    expect(Buffer.from(bytes).equals(image.manifest)).toBe(true);
    const kinds: string[] = [];
    for await (const piece of source.openLayer!(manifest.layers[0]!, image.diffIds[0]!)) {
      kinds.push(piece.kind);
    }
    expect(kinds).toEqual(["tar", "file", "tar"]);
    for (const [i, layer] of (await readLayers(source)).entries()) {
      expect(layer.equals(layers[i]!), `${i}`).toBe(true);
    }
    const blob = collect(source.openBlob(manifest.layers[0]!));
    await expect(blob).rejects.toThrow("podman keeps layers without compression");
    await source.close();
  });

  test("reads what `podman save` wrote, in both formats, as what podman stores", async () => {
    const storage = makePodmanStorage();
    const image = await makeImage({ compression: ["gzip"] });
    const id = pull(storage, image);
    storage.podman("tag", id, "localhost/saved:v1");
    for (const format of ["oci-archive", "docker-archive"]) {
      const file = join(tempDir(), "saved.tar");
      storage.podman("save", "--quiet", "--format", format, "--output", file, "localhost/saved:v1");
      const source = await openImageSource(`${format}:${file}`);
      const { manifest } = await resolveImage(source);
      const config = await source.readManifest(manifest.config);
      expect(parseImageConfig(config).diffIds).toEqual(image.diffIds);
      for (const layer of manifest.layers) await collect(source.openBlob(layer));
      await source.close();
      // The other way round: podman loads it into a second storage, and we read that.
      const second = makePodmanStorage();
      second.podman("load", "--quiet", "--input", file);
      const stored = await openImageSource(`${second.prefix}localhost/saved:v1`);
      const layers = await readLayers(stored);
      expect(layers.map((layer, i) => layer.equals(image.layers[i]!))).toEqual([true, true, true]);
      await stored.close();
    }
  });

  test("finds images by all their names", async () => {
    const storage = makePodmanStorage();
    const image = await makeImage(plain);
    const id = pull(storage, image);
    storage.podman("tag", id, "localhost/name:v1", "docker.io/library/other:latest");
    for (const name of [
      id,
      `sha256:${id}`,
      id.slice(0, 12),
      "localhost/name:v1",
      "name:v1",
      "other",
      "docker.io/library/other",
      `localhost/name@${image.descriptor.digest}`,
      `@${id}`,
    ]) {
      const source = await openImageSource(`${storage.prefix}${name}`);
      expect((await source.resolve()).descriptor.digest, name).toBe(image.descriptor.digest);
      await source.close();
    }
    for (const name of ["absent", "name:v2", "0123456", `absent@${image.descriptor.digest}`]) {
      const source = await openImageSource(`${storage.prefix}${name}`);
      await expect(source.resolve(), name).rejects.toMatchObject({ code: "invalid-reference" });
      await source.close();
    }
  });

  test("is found by storage.conf, with images and layers of additional stores", async () => {
    const additional = makePodmanStorage();
    const image = await makeImage(plain);
    const id = pull(additional, image);
    const main = makePodmanStorage();
    main.podman("images");
    const storageConf = join(tempDir(), "storage.conf");
    writeFileSync(
      storageConf,
      `[storage]
driver = "overlay"
graphroot = "${main.root}"
runroot = "${main.runRoot}"
[storage.options]
additionalimagestores = ["$STORES/root"]
`,
    );
    const environment = { STORES: join(additional.root, "..") };
    const options = { storage: { storageConf, environment } };
    const source = await openImageSource(`containers-storage:${id}`, options);
    expect((await readLayers(source)).map((layer) => layer.length)).toEqual(
      image.layers.map((layer) => layer.length),
    );
    await source.close();
    writeFileSync(storageConf, '[storage]\ndriver = "btrfs"\ngraphroot = "/"\n');
    const other = openImageSource(`containers-storage:${id}`, options);
    await expect(other).rejects.toMatchObject({ code: "unsupported-media-type" });
    writeFileSync(storageConf, "[storage\n");
    const broken = openImageSource(`containers-storage:${id}`, options);
    await expect(broken).rejects.toMatchObject({ code: "invalid-config" });
  });

  test("waits for podman, which holds the lock while it stores layers", async () => {
    const storage = makePodmanStorage();
    const image = await makeImage(plain);
    const source = await openImageSource(`${storage.prefix}${pull(storage, image)}`);
    const { manifest } = await resolveImage(source);
    // The lock of a Go program, taken by another process, as fcntl(2) has it.
    const holder = spawn(
      "python3",
      [
        "-c",
        "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()",
        join(storage.root, "overlay-layers/layers.lock"),
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    await once(holder.stdout, "data");
    let done = false;
    const reading = collect(source.openBlob(manifest.layers[0]!)).then((layer) => {
      done = true;
      return layer;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(done).toBe(false);
    holder.stdin.end();
    expect((await reading).equals(image.layers[0]!)).toBe(true);
    await source.close();
  });

  test("refuses a layer that podman cannot give back itself: one with sparse files", async () => {
    const storage = makePodmanStorage();
    const sparse = archive(
      pax([
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "sparse"],
        ["GNU.sparse.realsize", "100000"],
      ]),
      member(
        { name: "x" },
        Buffer.concat([Buffer.from("1\n512\n4\n".padEnd(512, "\0")), Buffer.from("data")]),
      ),
    );
    const id = pull(storage, await makeImage({ layers: [sparse], compression: ["none"] }));
    const source = await openImageSource(`${storage.prefix}${id}`);
    await expect(readLayers(source)).rejects.toMatchObject({
      code: "content-mismatch",
      hint: expect.stringContaining("sparse files"),
    });
    await source.close();
    const file = join(tempDir(), "saved.tar");
    const save = (): string =>
      storage.podman("save", "--format=oci-archive", `--output=${file}`, id);
    expect(save).toThrow("Digest did not match");
  });

  describe("damage", () => {
    const stored = async (): Promise<{ storage: PodmanStorage; id: string; image: TestImage }> => {
      const storage = makePodmanStorage();
      const image = await makeImage(plain);
      return { storage, image, id: pull(storage, image) };
    };
    const answer = async (storage: PodmanStorage, id: string): Promise<string> => {
      const source = await openImageSource(`${storage.prefix}${id}`);
      try {
        await readLayers(source);
        return "read";
      } catch (error) {
        if (error instanceof ComposefsError) return `${error.code}: ${error.message}`;
        throw error;
      } finally {
        await source.close();
      }
    };
    const layerPath = ({ root }: PodmanStorage, image: TestImage): string => {
      const layers = JSON.parse(readFileSync(join(root, "overlay-layers/layers.json"), "utf8"));
      const { id } = layers.find(
        (one: { "diff-digest": string }) => one["diff-digest"] === image.diffIds[0],
      );
      return id;
    };

    test("a file with another content, or another size, or none, is found", async () => {
      const { storage, id, image } = await stored();
      const big = join(storage.root, "overlay", layerPath(storage, image), "diff/big");
      const content = readFileSync(big);
      content[1_000_000]! ^= 1;
      writeFileSync(big, content);
      expect(await answer(storage, id)).toMatch(/^content-mismatch: .*comes out as sha256:/);
      writeFileSync(big, content.subarray(1));
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*"big" .*is another one/);
      run("rm", [big]);
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*"big" .*is not there/);
      run("ln", ["-s", "/etc/passwd", big]);
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*"big" .*is not there/);
      run("rm", [big]);
      run("mkfifo", [big]);
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*"big" .*is another one/);
    });

    test("a tar-split that is cut, damaged, hostile or gone is refused", async () => {
      const { storage, id, image } = await stored();
      const file = join(storage.root, `overlay-layers/${layerPath(storage, image)}.tar-split.gz`);
      const whole = gunzipSync(readFileSync(file)).toString();
      const put = (text: string): void => writeFileSync(file, gzipSync(text));
      writeFileSync(file, gzipSync(whole).subarray(0, 100));
      expect(await answer(storage, id)).toMatch(/^corrupt-archive/);
      for (const name of ["../../../../../../etc/passwd", "/etc/passwd", "etc/.."]) {
        put(whole.replaceAll('"name":"big"', `"name":"${name}"`));
        expect(await answer(storage, id), name).toMatch(/^corrupt-archive: /);
      }
      put(whole.replace(/"size":3000000/, '"size":1e30'));
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*tar-split/);
      put("x".repeat(20 << 20));
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*tar-split/);
      // The last record is an empty segment: without it nothing is missing.
      const lines = whole.trimEnd().split("\n").slice(0, -1);
      for (let count = 0; count < lines.length; count++) {
        put(lines.slice(0, count).join("\n"));
        expect(await answer(storage, id)).toMatch(/^content-mismatch|^corrupt-archive/);
      }
      run("rm", [file]);
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*tar-split .*is missing/);
    });

    test("lists with hostile IDs, circles or no layers are refused", async () => {
      const { storage, id, image } = await stored();
      const file = join(storage.root, "overlay-layers/layers.json");
      const whole = readFileSync(file, "utf8");
      const layers = JSON.parse(whole);
      const put = (value: unknown): void => writeFileSync(file, JSON.stringify(value));
      put(layers.map((one: object) => ({ ...one, id: "../../../../etc" })));
      expect(await answer(storage, id)).toMatch(/^invalid-manifest: .*\[0\]\.id is not 64/);
      const top = layers.at(-1);
      put([{ ...top, parent: top.id }]);
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*circle/);
      put([]);
      expect(await answer(storage, id)).toMatch(/^corrupt-archive: .*is missing/);
      writeFileSync(file, whole.slice(0, 100));
      expect(await answer(storage, id)).toMatch(/^invalid-manifest/);
      writeFileSync(file, whole);
      const content = join(storage.root, "overlay", layerPath(storage, image));
      mkdirSync(join(content, "composefs-data"));
      expect(await answer(storage, id)).toMatch(/^unsupported-media-type: .*composefs mode/);
    });

    test("a manifest that was changed is found", async () => {
      const { storage, id } = await stored();
      const images = join(storage.root, "overlay-images");
      const manifest = join(
        images,
        readdirSync(images).find((one) => one.length === 64)!,
        "manifest",
      );
      const bytes = readFileSync(manifest);
      writeFileSync(manifest, Buffer.concat([bytes, Buffer.from(" ")]));
      expect(await answer(storage, id)).toMatch(/^content-mismatch/);
    });
  });
});

describe("containers-storage: names", () => {
  test.each(["containers-storage:", "containers-storage:[overlay@/x", "containers-storage:[x]y"])(
    "%s is refused",
    async (name) => {
      await expect(openImageSource(name)).rejects.toMatchObject({ code: "invalid-reference" });
    },
  );
});
