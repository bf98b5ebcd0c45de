/** Pulls that go wrong: what is left is whole and is not to be mounted, and the same pull succeeds later. */

import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { Descriptor } from "#src/core/mod.ts";
import { LayoutWriter, pattern } from "../../support/images.ts";
import { needs } from "../../support/needs.ts";
import { archive, header, member } from "../../support/tar-bytes.ts";
import { run } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";
import { damageOf, entriesOf, makeRepository, objectsOf, pull } from "./support.ts";

const USR = archive(header({ name: "usr/", typeflag: "5", mode: 0o755 }));
const GOOD = archive(member({ name: "usr/good" }, pattern(300_000, 1)));
const OTHER = archive(member({ name: "usr/other" }, pattern(2_000_000, 2)));

/** A layout with one image, whose last layer can be spoiled. */
class SpoiledLayout {
  readonly path = tempDir();
  readonly name = `oci:${this.path}`;
  readonly #writer = new LayoutWriter(this.path);
  readonly #layer: Descriptor;

  constructor(fields: { readonly diffIds?: readonly string[]; readonly last?: Uint8Array } = {}) {
    const image = this.#writer.image([USR, GOOD, fields.last ?? OTHER]);
    const manifest = JSON.parse(this.#writer.read(image).toString()) as {
      config: Descriptor;
      layers: Descriptor[];
    };
    this.#layer = manifest.layers[2]!;
    if (fields.diffIds === undefined) {
      this.#writer.tag(image, "image");
      return;
    }
    const config = JSON.parse(this.#writer.read(manifest.config).toString()) as {
      rootfs: { diff_ids: string[] };
    };
    config.rootfs.diff_ids.splice(2, 1, ...fields.diffIds);
    const wrong = this.#writer.json("application/vnd.oci.image.config.v1+json", config);
    const { mediaType } = image;
    this.#writer.tag(this.#writer.json(mediaType, { ...manifest, config: wrong }), "image");
  }

  /** Where the blob of the last layer lies. */
  get blob(): string {
    return join(this.path, "blobs", this.#layer.digest.replace(":", "/"));
  }
}

/** After a failure: whole, nothing to be mounted, no tag; at most the layers that were complete. */
function expectOnlyGoodLayers(repository: string): void {
  expect(damageOf(repository)).toEqual([]);
  expect(entriesOf(repository).filter((name) => !name.startsWith("streams/oci-layer-"))).toEqual(
    [],
  );
  expect(entriesOf(repository).length).toBeLessThanOrEqual(2);
}

describe("a pull fails", () => {
  test.each([
    ["a wrong diff ID", [`sha256:${"0".repeat(64)}`], "content-mismatch"],
    ["a diff ID too few", [], "invalid-manifest"],
    [
      "a diff ID too many",
      [`sha256:${"0".repeat(64)}`, `sha256:${"1".repeat(64)}`],
      "invalid-manifest",
    ],
  ])("for %s", async (_, diffIds, code) => {
    const repository = makeRepository();
    const { name } = new SpoiledLayout({ diffIds });
    await expect(pull(repository, name)).rejects.toMatchObject({ code });
    expectOnlyGoodLayers(repository);
  });

  test.each<[string, (path: string) => void, string]>([
    [
      "has a wrong byte",
      (path) => {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1]! ^= 1;
        writeFileSync(path, bytes);
      },
      "content-mismatch|corrupt-archive|corrupt-tar",
    ],
    ["is cut", (path) => truncateSync(path, 100_000), "content-mismatch|corrupt-archive"],
    ["is empty", (path) => truncateSync(path, 0), "content-mismatch|corrupt-archive"],
    [
      "is longer",
      (path) => writeFileSync(path, "more", { flag: "a" }),
      "content-mismatch|corrupt-archive",
    ],
    [
      "is another one",
      (path) => writeFileSync(path, pattern(50_000, 9)),
      "content-mismatch|corrupt-archive",
    ],
  ])("when a blob %s; then, with the right one, it goes on", async (_, spoil, codes) => {
    const repository = makeRepository();
    const layout = new SpoiledLayout();
    const right = readFileSync(layout.blob);
    spoil(layout.blob);
    const failure = await pull(repository, layout.name).catch((error: unknown) => error);
    expect((failure as { code: string }).code).toMatch(new RegExp(`^(?:${codes})$`));
    expectOnlyGoodLayers(repository);
    writeFileSync(layout.blob, right);
    expect((await pull(repository, layout.name)).outcome).toBe("pulled");
    expect(damageOf(repository)).toEqual([]);
  });

  test.each<[string, Buffer, string]>([
    ["is cut", OTHER.subarray(0, 1_000_000), "corrupt-tar"],
    ["goes up", archive(member({ name: "../../etc/passwd" }, "evil")), "invalid-layer"],
    [
      "links to nothing",
      archive(header({ name: "a", typeflag: "1", linkname: "b" })),
      "invalid-layer",
    ],
    [
      "goes through a symlink",
      archive(
        header({ name: "etc", typeflag: "2", linkname: "/etc" }),
        member({ name: "etc/passwd" }, "evil"),
      ),
      "invalid-layer",
    ],
  ])("when an archive %s", async (_, last, code) => {
    const repository = makeRepository();
    await expect(pull(repository, new SpoiledLayout({ last }).name)).rejects.toMatchObject({
      code,
    });
    expect(damageOf(repository)).toEqual([]);
    expect(entriesOf(repository).filter((name) => !name.startsWith("streams/oci-layer-"))).toEqual(
      [],
    );
  });

  test.each([
    ["entries", { entries: 0 }, "tar-limit"],
    ["size", { size: 1_000_000 }, "layer-limit"],
  ])("over the limit of %s", async (_, limits, code) => {
    const repository = makeRepository();
    const { name } = new SpoiledLayout();
    await expect(pull(repository, name, { limits })).rejects.toMatchObject({ code });
    expectOnlyGoodLayers(repository);
  });

  test("when it is interrupted, and leaves what was complete", async () => {
    const repository = makeRepository();
    const { name } = new SpoiledLayout();
    const controller = new AbortController();
    const pulling = pull(repository, name, {
      signal: controller.signal,
      layersAtOnce: 1,
      onProgress: (event) => {
        if (event.kind === "layer-done") controller.abort(new Error("stop"));
      },
    });
    await expect(pulling).rejects.toThrow("stop");
    expectOnlyGoodLayers(repository);
    const { layers } = await pull(repository, name);
    expect(layers.filter(({ isPresent }) => isPresent)).toHaveLength(1);
  });

  test("when a check refuses it", async () => {
    const repository = makeRepository();
    const { name } = new SpoiledLayout();
    const check = (): Promise<void> => Promise.reject(new Error("not sealed"));
    await expect(pull(repository, name, { check })).rejects.toThrow("not sealed");
    expect(entriesOf(repository)).toEqual([]);
    expect(objectsOf(repository)).toEqual([]);
  });
});

const fullDisk = needs("root", "mount");

fullDisk.describe("a full disk", () => {
  const mounted: string[] = [];
  afterEach(() => {
    for (const path of mounted.splice(0)) run("umount", [path]);
  });

  test("leaves nothing, and the same pull succeeds with more room", async () => {
    const disk = tempDir();
    const must = (...args: string[]): void => expect(run(args[0]!, args.slice(1)).stderr).toBe("");
    must("mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", disk);
    mounted.push(disk);
    const repository = makeRepository("sha512", [1], join(disk, "repository"));
    const { name } = new SpoiledLayout();
    const failure = await pull(repository, name).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "store-failed" });
    expect(String(failure)).toContain("ENOSPC");
    expectOnlyGoodLayers(repository);
    must("mount", "-o", "remount,size=64m", disk);
    expect((await pull(repository, name)).outcome).toBe("pulled");
    expect(damageOf(repository)).toEqual([]);
  });
});
