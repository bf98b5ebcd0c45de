/** Pulls, from layouts and a real registry: what is stored, what is asked for, what is made. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalizeRootfs, parseDump } from "#src/core/mod.ts";
import type { ByteString, FormatVersion, FsVerityAlgorithm, OciDigest } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import {
  ContentIndex,
  Repository,
  composeImage,
  listReferrers,
  openOciImage,
  readOrigin,
} from "#src/store/mod.ts";
import { LayoutWriter } from "../../support/images.ts";
import { randomStack } from "../../support/layer-model.ts";
import { imageDigest, mergeArchives, writeOciLayout } from "../../support/layers.ts";
import { SAMPLE_LAYERS, makeImage, writeLayout } from "../../support/oci-image.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import { needs } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { archive, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";
import { cfsctl, makeRepository, peer, pull } from "./support.ts";
import {
  BOOTABLE_LAYER,
  PEER_HEADER,
  PLAIN_LAYER,
  peerDirectory,
} from "../../support/peer-layouts.ts";

const USR = archive(peerDirectory("usr/"));

async function layout(
  layers: readonly Buffer[],
  compression?: "gzip" | "zstd" | "none",
): Promise<string> {
  const path = tempDir();
  const image = await makeImage({ layers, ...(compression ? { compression: [compression] } : {}) });
  writeLayout(path, [image]);
  return `oci:${path}`;
}

async function withRepository<T>(
  path: string,
  use: (repo: Repository) => T | Promise<T>,
): Promise<T> {
  const repo = Repository.open(path as ByteString, {});
  try {
    return await use(repo);
  } finally {
    repo.close();
  }
}

describe("pullImage: digests", () => {
  const VECTORS: [FsVerityAlgorithm, string, string][] = [
    [
      "sha512",
      "d06f1f6a73f62ed48e05ce9442ff045cdf2a9f5ba1ec623795de3d6177a253d91076459795d94f55d8c3d71dab458bb3fc0071255a50c0a4896d86ffdc870b9a",
      "f7684c21050615c02cec250e0c7d4118fb0ff6340af5039e06f2f372a7614fff25dfd38cf7f28ad67d8b86e86371b7deafa9ae4bf543630322aee6196417de92",
    ],
    [
      "sha256",
      "ca4c0cedfe7cf4e19090b65126e5b2ccc2e7fb4eef2af2a1bcdebe7488d5790b",
      "25292507ba4a5baae43630486e299153c8f9e07379ca0a823476d0f9254af97e",
    ],
  ];
  test.each(VECTORS)(
    "with %s the plain layout has the published ones",
    async (algorithm, v1, v2) => {
      const { erofs } = await pull(makeRepository(algorithm, [1, 2]), await layout([PLAIN_LAYER]));
      expect(erofs.map(({ digest }) => digest)).toEqual([v1, v2]);
    },
  );

  test("the bootable layout has the published ones", async () => {
    const repository = makeRepository("sha512", [1, 2]);
    const { erofs } = await pull(repository, await layout([BOOTABLE_LAYER]), { bootable: true });
    expect(erofs.filter(({ bootable }) => bootable).map(({ digest }) => digest)).toEqual([
      "afcf5265d299516bc4f3f34f0f6bae2dc42dd6c24711121141140f39d8cc2b1f3fcf18bb0a5c3f4db21065783f76e920458f93cd81bb09c24cdb6968b4165e89",
      "8dc1c4019e86d6c82d9118fcd3b8d7135901e621404af5c0e73590633a92acf49f584346958738a07001a489b60855fbda0b020caf0410c29ce469f223ea4915",
    ]);
  });

  test("random stacks have those of a model, through the whole way", async () => {
    const withUsr = randomStack.filter(({ dump }) => dump("sha256") !== "");
    const kinds = fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512");
    await fc.assert(
      fc.asyncProperty(withUsr, kinds, async (stack, algorithm) => {
        const path = tempDir();
        writeOciLayout(
          path,
          stack.layers.map((layer) => layer.archive),
        );
        const versions: FormatVersion[] = [1, 2];
        const { erofs } = await pull(makeRepository(algorithm, versions), `oci:${path}`);
        const model = parseDump(Buffer.from(stack.dump(algorithm), "latin1"));
        const expected = versions.map((version) => imageDigest(model, version, algorithm));
        expect(erofs.map(({ digest }) => digest)).toEqual(expected);
      }),
      { numRuns: Number(process.env["COMPOSEFS_PROPERTY_RUNS"] ?? 300) / 20 },
    );
  }, 120_000);

  test.each(["none", "gzip", "zstd"] as const)("do not depend on compression: %s", async (how) => {
    const layers = [USR, ...SAMPLE_LAYERS];
    const { erofs } = await pull(makeRepository(), await layout(layers, how));
    const tree = canonicalizeRootfs(mergeArchives(layers, {}, "sha512"));
    expect(erofs[0]!.digest).toBe(imageDigest(tree, 1, "sha512"));
  });

  test("a sparse file is in the image with its holes", async () => {
    const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
    const tail = Buffer.alloc(155);
    tail.write(octal(0) + octal(512) + octal(8192) + octal(100), 386 - 345, "latin1");
    tail.write(octal(10_000), 483 - 345, "latin1");
    const content = Buffer.concat([Buffer.alloc(512, "a"), Buffer.alloc(100, "b")]);
    const sparse = member({ ...PEER_HEADER, name: "usr/f", typeflag: "S", tail }, content);
    const repository = makeRepository();
    const { erofs } = await pull(
      repository,
      await layout([archive(peerDirectory("usr/"), sparse)]),
    );
    const whole = Buffer.alloc(10_000);
    content.copy(whole, 0, 0, 512);
    content.copy(whole, 8192, 512);
    const plain = archive(peerDirectory("usr/"), member({ ...PEER_HEADER, name: "usr/f" }, whole));
    const tree = canonicalizeRootfs(mergeArchives([plain], {}, "sha512"));
    expect(erofs[0]!.digest).toBe(imageDigest(tree, 1, "sha512"));
    // And when it is made again, out of the repository.
    await withRepository(repository, async (repo) => {
      const zstd = await loadZstd();
      const again = composeImage(repo, openOciImage(repo, "image" as ByteString, zstd), zstd);
      expect(imageDigest(again, 1, "sha512")).toBe(erofs[0]!.digest);
    });
  });
});

describe("pullImage: what is there already", () => {
  test("is not fetched, not made and not written again", async () => {
    const repository = makeRepository();
    const name = await layout([USR, ...SAMPLE_LAYERS]);
    const first = await pull(repository, name);
    expect(first.outcome).toBe("pulled");
    const second = await pull(repository, name, { tag: "other" as ByteString });
    expect(second).toMatchObject({ outcome: "up-to-date", manifestStream: first.manifestStream });
    expect(second.layers.every(({ isPresent, fetched }) => isPresent && fetched === 0)).toBe(true);
  });

  test("layers of other images are not fetched", async () => {
    const repository = makeRepository();
    await pull(repository, await layout([USR, SAMPLE_LAYERS[0]!]));
    const { layers } = await pull(repository, await layout([USR, ...SAMPLE_LAYERS], "none"));
    expect(layers.map(({ isPresent }) => isPresent)).toEqual([true, true, false, false]);
    expect(layers.map(({ fetched }) => fetched > 0)).toEqual([false, false, true, true]);
  });

  test("the bootable image alone is made when it is asked for later", async () => {
    const repository = makeRepository("sha256", [1, 2]);
    const name = await layout([BOOTABLE_LAYER]);
    const { erofs: plain } = await pull(repository, name);
    const { erofs, layers } = await pull(repository, name, { bootable: true });
    expect(erofs.slice(0, 2)).toEqual(plain);
    expect(layers[0]).toMatchObject({ isPresent: true, fetched: 0 });
    // It stays when the image is pulled without it.
    await pull(repository, name);
    await withRepository(repository, async (repo) => {
      const image = openOciImage(repo, "image" as ByteString, await loadZstd());
      expect([...image.erofs.keys()].sort()).toEqual([
        ...["composefs.image", "composefs.image.boot"],
        ...["composefs.image.boot.v1", "composefs.image.v1"],
      ]);
    });
  });

  test("contents are known by SHA-256, and images by where they came from", async () => {
    const repository = makeRepository();
    const name = await layout([USR, ...SAMPLE_LAYERS]);
    const { manifestDigest } = await pull(repository, name);
    await withRepository(repository, (repo) => {
      const index = new ContentIndex(repo);
      const big = Buffer.alloc(3_000_000, "0123456789abcdefg");
      for (const content of [big, Buffer.alloc(100, "x")]) {
        const sha256 = `sha256:${createHash("sha256").update(content).digest("hex")}` as OciDigest;
        const found = index.find(sha256);
        expect(found?.size).toBe(content.length);
        expect(Buffer.from(repo.readObject(found!.digest, 2 ** 24)).equals(content)).toBe(true);
      }
      index.close();
      expect(readOrigin(repo, manifestDigest)).toBe(name);
    });
  });
});

const registryTests = needs("docker-registry", "skopeo");

registryTests.describe("pullImage: from a registry", () => {
  test("a second pull of the same reference is one request", async () => {
    const registry = await startRegistry();
    const name = await layout([USR, ...SAMPLE_LAYERS]);
    const pushed = run("skopeo", [
      ...["copy", "-q", "--dest-tls-verify=false", name],
      `docker://${registry.host}/sample:v1`,
    ]);
    expect(pushed.stderr).toBe("");
    const proxy = await startFaultyRegistry(registry.url);
    const repository = makeRepository();
    expect((await pull(repository, `${proxy.host}/sample:v1`)).outcome).toBe("pulled");
    // The manifest, the config and four layers.
    expect(proxy.count(/\/blobs\//)).toBe(5);
    const before = proxy.count(/./);
    const again = await pull(repository, `${proxy.host}/sample:v1`);
    expect(again.outcome).toBe("up-to-date");
    expect(proxy.count(/\/manifests\//) - 1).toBe(1);
    expect(proxy.count(/./) - before).toBe(1);
  });
});

describe("pullImage: artifacts", () => {
  test("are stored with their blobs, and found by what they are about", async () => {
    const path = tempDir();
    const writer = new LayoutWriter(path);
    const image = writer.image([PLAIN_LAYER]);
    const artifact = writer.json("application/vnd.oci.image.manifest.v1+json", {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      artifactType: "application/vnd.example+type",
      config: writer.put(Buffer.from("{}"), "application/vnd.oci.empty.v1+json"),
      layers: [writer.put(Buffer.from("signature"), "application/vnd.example+blob")],
      subject: image,
    });
    writer.tag(image, "image");
    writer.tag(artifact, "signature");
    const repository = makeRepository();
    await pull(repository, `oci:${path}:image`);
    const report = await pull(repository, `oci:${path}:signature`, {
      tag: "signature" as ByteString,
    });
    expect(report).toMatchObject({ kind: "artifact", outcome: "pulled", erofs: [] });
    await withRepository(repository, async (repo) => {
      expect(listReferrers(repo, image.digest)).toEqual([artifact.digest]);
      const opened = openOciImage(repo, "signature" as ByteString, await loadZstd());
      expect(opened.layers.map(({ diffId }) => diffId)).toEqual(
        opened.manifest.layers.map(({ digest }) => digest),
      );
    });
    const again = await pull(repository, `oci:${path}:signature`);
    expect(again.outcome).toBe("up-to-date");
  });
});

peer.describe("pullImage and cfsctl", () => {
  const layers = [USR, ...SAMPLE_LAYERS];
  const algorithms: FsVerityAlgorithm[] = ["sha256", "sha512"];

  test.each(algorithms)("cfsctl uses what we filled, with %s", async (algorithm) => {
    const repository = makeRepository(algorithm, [1, 2]);
    const {
      manifestDigest,
      erofs,
      layers: pulled,
    } = await pull(repository, await layout(layers), {
      tag: "a/b%2Fc" as ByteString,
    });
    const { images } = JSON.parse(cfsctl(repository, "oci", "images", "--json")) as {
      images: object[];
    };
    expect(images).toMatchObject([
      { name: "a/b%2Fc", manifest_digest: manifestDigest, layer_count: 4, architecture: "amd64" },
    ]);
    const inspected = JSON.parse(cfsctl(repository, "oci", "inspect", "a/b%2Fc")) as object;
    expect(inspected).toMatchObject({ composefs_erofs: erofs[0]!.digest });
    for (const { version, digest } of erofs) {
      const args = [`--erofs-version=${version}`, "oci", "compute-id", "a/b%2Fc"];
      expect(cfsctl(repository, ...args).trim()).toBe(digest);
    }
    for (const [index, { diffId }] of pulled.entries()) {
      const binary = process.env["COMPOSEFS_CFSCTL"]!;
      const tar = run(binary, ["--insecure", "--repo", repository, "oci", "layer", diffId]);
      expect(tar.stdout.equals(layers[index]!)).toBe(true);
    }
    expect(cfsctl(repository, "oci", "fsck")).toContain("status: ok");
    expect(cfsctl(repository, "fsck")).toContain("ok");
    // Garbage collection takes nothing of it, and all of it when the tag is gone.
    expect(cfsctl(repository, "gc")).toContain("Objects: 0 removed");
    cfsctl(repository, "oci", "untag", "a/b%2Fc");
    cfsctl(repository, "gc");
    expect(JSON.parse(cfsctl(repository, "oci", "images", "--json"))).toEqual({ images: [] });
  });

  test.each(algorithms)("we use what cfsctl filled, with %s", async (algorithm) => {
    const repository = join(tempDir(), "repository");
    const options = ["--erofs-version=2", `--algorithm=fsverity-${algorithm}-12`];
    cfsctl(repository, "init", "--insecure", ...options);
    const name = await layout(layers);
    cfsctl(repository, "oci", "pull", name, "image");
    const { outcome, erofs } = await pull(repository, name);
    expect(outcome).toBe("up-to-date");
    expect(erofs[0]!.digest).toBe(cfsctl(repository, "oci", "compute-id", "image").trim());
    await withRepository(repository, async (repo) => {
      const zstd = await loadZstd();
      const image = openOciImage(repo, "image" as ByteString, zstd);
      const tree = composeImage(repo, image, zstd);
      expect(imageDigest(tree, 2, algorithm)).toBe(erofs[0]!.digest);
    });
  });
});
