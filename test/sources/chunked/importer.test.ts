/** Partial pulls from layouts on disk: what is fetched, what is reused, and what is refused. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ComposefsError, objectPath } from "#src/core/mod.ts";
import { chunkedImporter, openImageSource, pullImage } from "#src/sources/mod.ts";
import type { ChunkedDecision, ImageSource, LayerImporter, PullReport } from "#src/sources/mod.ts";
import type { Repository } from "#src/store/mod.ts";
import { newRepository } from "../../store/support.ts";
import { chunkedBlob, sha256 } from "../../support/chunked.ts";
import type { ChunkedBlob } from "../../support/chunked.ts";
import { addChunkedImage, changedBlob } from "../../support/chunked-image.ts";
import type { Changes, LayerBlob } from "../../support/chunked-image.ts";
import { contentsOf } from "../../support/contents.ts";
import type { KnownContent } from "../../support/contents.ts";
import { pattern } from "../../support/images.ts";
import { archive, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";

/** A repository that remembers contents, as the content index does. */
class Machine {
  readonly repo: Repository = newRepository("sha256");
  contents = new Map<string, KnownContent>();
  decisions: ChunkedDecision[] = [];
  found = 0;

  get importer(): LayerImporter {
    return chunkedImporter({
      contents: {
        records: this.contents.size,
        find: (digest) => {
          this.found++;
          return this.contents.get(digest);
        },
      },
      onDecision: (_, decision) => this.decisions.push(decision),
    });
  }

  async pull(source: ImageSource | string, importers = [this.importer]): Promise<PullReport> {
    this.decisions = [];
    const opened = typeof source === "string" ? await openImageSource(source) : source;
    try {
      // The way that is tested here is the only one.
      const options = { importers, partial: false };
      const report = await pullImage(this.repo, opened, options);
      this.contents = contentsOf(this.repo.path);
      return report;
    } finally {
      await opened.close();
    }
  }

  /** The splitstream of a layer. */
  stream(tar: Uint8Array): string | undefined {
    return this.repo.streamDigest(`oci-layer-sha256:${sha256(tar)}` as never);
  }
}

const USR = member({ name: "usr/", typeflag: "5", mode: 0o755 });
const BIG = pattern(200_000, 7);
const SPARSE = Buffer.concat([pattern(3000, 2), Buffer.alloc(100_000), pattern(3000, 3)]);

const OLD = archive(
  USR,
  member({ name: "usr/kept" }, BIG),
  member({ name: "usr/changed" }, pattern(5000, 1)),
  member({ name: "usr/tiny" }, "tiny"),
);
const NEW = archive(
  USR,
  member({ name: "usr/kept", mtime: 5 }, BIG),
  member({ name: "usr/changed" }, pattern(5000, 4)),
  member({ name: "usr/tiny" }, "tiny"),
  member({ name: "usr/holes" }, SPARSE),
  member({ name: "usr/twice" }, pattern(4000, 9)),
  member({ name: "usr/again" }, pattern(4000, 9)),
  member({ name: "usr/empty" }),
  member({ name: "usr/hard", typeflag: "1", linkname: "usr/kept" }),
);

const layerOf = (tar: Uint8Array): LayerBlob => ({ ...chunkedBlob(tar), archive: tar });

let directory: string;
beforeAll(() => {
  directory = tempDir();
  addChunkedImage(directory, "old", [layerOf(OLD)]);
  addChunkedImage(directory, "new", [layerOf(NEW)]);
});

describe("a partial pull", () => {
  test("fetches what is missing, and makes what a whole pull makes", async () => {
    const whole = new Machine();
    await whole.pull(`oci:${directory}:new`, []);
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    expect(machine.decisions).toEqual([
      { way: "whole", reason: "the repository knows no file yet" },
    ]);
    const report = await machine.pull(`oci:${directory}:new`);
    const [layer] = report.layers;
    expect(machine.decisions).toEqual([
      { way: "partial", needed: layer!.fetched, reused: { files: 1, bytes: BIG.length } },
    ]);
    // Of the one that comes twice one, of the one with holes what is around them.
    const missing = 5000 + 3000 + 3000 + 4000;
    expect(layer!.fetched).toBeGreaterThan(missing);
    expect(layer!.fetched).toBeLessThan(missing + 13_000);
    expect(machine.stream(NEW)).toBe(whole.stream(NEW));
    expect(machine.stream(NEW)).toBeDefined();
    expect(report.erofs).toEqual((await whole.pull(`oci:${directory}:new`, [])).erofs);
  });

  test("needs nothing but the index for what is here already", async () => {
    const machine = new Machine();
    await machine.pull(`oci:${directory}:new`);
    const other = archive(USR, member({ name: "usr/other" }, BIG));
    addChunkedImage(directory, "other", [layerOf(other)]);
    const report = await machine.pull(`oci:${directory}:other`);
    expect(machine.decisions).toMatchObject([{ way: "partial", reused: { files: 1 } }]);
    expect(report.layers[0]!.fetched).toBeLessThan(3000);
  });

  test("gives any archive back", async () => {
    const content = fc.oneof(
      fc.nat(200).map((seed) => pattern(1000 + 300 * seed, seed + 1)),
      fc.uint8Array({ maxLength: 70 }),
      fc
        .nat(5)
        .map((n) => Buffer.concat([pattern(2000, n + 1), Buffer.alloc(n * 900), pattern(2000, 3)])),
    );
    const tree = fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), content, { maxKeys: 12 });
    const tarOf = (files: Record<string, Uint8Array>): Buffer =>
      archive(
        USR,
        ...Object.entries(files).map(([name, data]) => member({ name: `usr/${name}` }, data)),
      );
    await fc.assert(
      fc.asyncProperty(tree, tree, async (first, second) => {
        const place = tempDir();
        const kept = pattern(300_000, 77);
        const before = tarOf({ ...first, kept });
        const after = tarOf({ ...first, ...second, kept });
        addChunkedImage(place, "before", [layerOf(before)]);
        addChunkedImage(place, "after", [layerOf(after)]);
        const machine = new Machine();
        await machine.pull(`oci:${place}:before`);
        await machine.pull(`oci:${place}:after`);
        const isSame = before.equals(after);
        expect(machine.decisions).toMatchObject(isSame ? [] : [{ way: "partial" }]);
        const whole = new Machine();
        await whole.pull(`oci:${place}:after`, []);
        expect(machine.stream(after)).toBe(whole.stream(after));
        machine.repo.close();
        whole.repo.close();
      }),
      { numRuns: 6 },
    );
  }, 120_000);
});

describe("a layer is pulled whole, and that is said,", () => {
  const withoutRanges = async (): Promise<ImageSource> => {
    const source = await openImageSource(`oci:${directory}:new`);
    return {
      name: source.name,
      resolve: () => source.resolve(),
      readManifest: (descriptor) => source.readManifest(descriptor),
      openBlob: (descriptor) => source.openBlob(descriptor),
      close: () => source.close(),
    };
  };

  test("where the source cannot give parts", async () => {
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    await machine.pull(await withoutRanges());
    expect(machine.decisions).toEqual([
      { way: "whole", reason: "its source cannot give parts of it" },
    ]);
    expect(machine.stream(NEW)).toBeDefined();
  });

  test("where it would bring next to nothing", async () => {
    const layer = layerOf(archive(USR, member({ name: "usr/new" }, pattern(50_000, 3))));
    addChunkedImage(directory, "none", [layer]);
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    const report = await machine.pull(`oci:${directory}:none`);
    expect(machine.decisions).toEqual([
      { way: "whole", reason: "hardly any of it is here already" },
    ]);
    // What it cost to find that out is counted.
    expect(report.layers[0]!.fetched).toBeGreaterThan(layer.blob.length);
  });

  test("where it has no tar-split", async () => {
    const made = chunkedBlob(NEW);
    const annotations = Object.fromEntries(
      Object.entries(made.annotations).filter(([key]) => !key.includes("tarsplit")),
    );
    addChunkedImage(directory, "nosplit", [{ ...made, annotations, archive: NEW }]);
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    await machine.pull(`oci:${directory}:nosplit`);
    expect(machine.decisions).toEqual([{ way: "whole", reason: "it has no tar-split" }]);
    expect(machine.stream(NEW)).toBeDefined();
  });
});

test("a layer that is no zstd:chunked is none of its business", async () => {
  addChunkedImage(directory, "plain", [{ ...chunkedBlob(NEW), annotations: {}, archive: NEW }]);
  const machine = new Machine();
  await machine.pull(`oci:${directory}:plain`);
  expect(machine.decisions).toEqual([]);
  expect(machine.found).toBe(0);
});

type Entries = Record<string, any>[];
const entryOf = (toc: Record<string, any>, name: string): any =>
  (toc["entries"] as Entries).find((entry) => entry["name"] === `usr/${name}`)!;

describe("a hostile layer", () => {
  const made: ChunkedBlob = chunkedBlob(NEW);
  const cases: readonly (readonly [string, Changes, string, RegExp])[] = [
    [
      "whose TOC names a local file instead of the one in the archive",
      {
        toc: (toc) => {
          entryOf(toc, "twice").digest = `sha256:${sha256(pattern(4000, 8))}`;
        },
      },
      "content-mismatch",
      /"usr\/twice".*digest/,
    ],
    [
      "whose TOC names other content of the same size that is here",
      {
        toc: (toc) => {
          entryOf(toc, "changed").digest = `sha256:${sha256(pattern(5000, 1))}`;
        },
      },
      "content-mismatch",
      /diff ID/,
    ],
    [
      "with other content in its frames",
      {
        data: (data) => {
          const at = data.indexOf(pattern(5000, 4).subarray(100, 200));
          data[at]! ^= 1;
          return data;
        },
      },
      "content-mismatch",
      /"usr\/changed".*digest/,
    ],
    [
      "with another archive in its tar-split",
      {
        tarSplit: (records) => {
          const last = records.at(-1)!;
          last["payload"] = Buffer.concat([
            Buffer.from(last["payload"], "base64"),
            Buffer.alloc(512),
          ]).toString("base64");
        },
      },
      "content-mismatch",
      /diff ID/,
    ],
    [
      "whose frames hold less than they say",
      {
        toc: (toc) => {
          entryOf(toc, "changed").endOffset -= 1;
        },
      },
      "corrupt-chunked",
      /"usr\/changed": its frames (?:are cut|hold less|cannot be)/,
    ],
    [
      "whose frames are those of another file",
      {
        toc: (toc) => {
          const [changed, next] = [entryOf(toc, "changed"), entryOf(toc, "tiny")];
          changed.endOffset = next.offset - 1;
        },
      },
      "corrupt-chunked",
      /"usr\/changed"/,
    ],
    [
      "whose frames are a bomb",
      {
        data: (data) => {
          // A frame of run-length blocks in the place of another frame.
          const at = data.indexOf(pattern(5000, 4).subarray(0, 100)) - 9;
          for (let i = at + 6; i < at + 4000; i += 4) {
            data.writeUIntLE(((1 << 17) << 3) | 2, i, 3);
          }
          return data;
        },
      },
      "corrupt-chunked",
      /"usr\/changed": its frames/,
    ],
    [
      "with a hard link to nothing",
      { toc: (toc) => (entryOf(toc, "hard").linkName = "usr/nothing") },
      "corrupt-chunked",
      /"usr\/hard": its linkName/,
    ],
    [
      "with one name twice",
      { toc: (toc) => (entryOf(toc, "again").name = "usr/twice") },
      "corrupt-chunked",
      /twice/,
    ],
    [
      "whose TOC vouches for another tar-split",
      { toc: (toc) => (toc["tarSplitDigest"] = `sha256:${"0".repeat(64)}`) },
      "content-mismatch",
      /tar-split has the digest/,
    ],
    [
      "without a digest of its tar-split",
      { toc: (toc) => delete toc["tarSplitDigest"] },
      "corrupt-chunked",
      /tar-split has no digest/,
    ],
  ];

  for (const [i, [name, changes, code, reason]] of cases.entries()) {
    test(`${name}: ${code}`, async () => {
      const changed = changedBlob(made, changes);
      addChunkedImage(directory, `hostile${i}`, [{ ...changed, archive: NEW }]);
      const machine = new Machine();
      await machine.pull(`oci:${directory}:old`);
      await expect(machine.pull(`oci:${directory}:hostile${i}`)).rejects.toSatisfy(
        (error) =>
          error instanceof ComposefsError && error.code === code && reason.test(error.message),
      );
      expect(machine.stream(NEW)).toBeUndefined();
      // What was tried does no harm to the pull of the real one.
      await machine.pull(`oci:${directory}:new`);
      expect(machine.decisions).toMatchObject([{ way: "partial" }]);
      expect(machine.stream(NEW)).toBeDefined();
    });
  }

  test("with a hard link to nothing in its archive: invalid-layer, as in a whole pull", async () => {
    const link = { name: "usr/hard", typeflag: "1", linkname: "usr/nothing" };
    const tar = archive(USR, member({ name: "usr/kept" }, BIG), member(link));
    addChunkedImage(directory, "dangling", [layerOf(tar)]);
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    for (const importers of [undefined, []]) {
      const pulled = machine.pull(`oci:${directory}:dangling`, importers);
      await expect(pulled).rejects.toMatchObject({ code: "invalid-layer" });
    }
  });

  test("of a few bytes that claims zeros without end: layer-limit", async () => {
    const size = 2 ** 36;
    const bomb = changedBlob(made, {
      toc: (toc) => {
        const holes = entryOf(toc, "holes");
        const entries = toc["entries"] as Entries;
        const zeros = entries.find(({ chunkType }) => chunkType === "zeros")!;
        const last = entries[entries.indexOf(zeros) + 1]!;
        last["chunkOffset"] += size - holes.size;
        zeros["chunkSize"] += size - holes.size;
        holes.size = size;
      },
    });
    addChunkedImage(directory, "bomb", [{ ...bomb, archive: NEW }]);
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    const pulled = machine.pull(`oci:${directory}:bomb`);
    await expect(pulled).rejects.toMatchObject({ code: "layer-limit" });
  });

  test("with another TOC than the manifest names: content-mismatch", async () => {
    const blob = Buffer.from(made.blob);
    const [offset] =
      made.annotations["io.github.containers.zstd-chunked.manifest-position"]!.split(":");
    blob[Number(offset) + 20]! ^= 1;
    addChunkedImage(directory, "toc", [{ ...made, blob, archive: NEW }]);
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    await expect(machine.pull(`oci:${directory}:toc`)).rejects.toMatchObject({
      code: "content-mismatch",
      message: expect.stringContaining("table of contents"),
    });
  });

  test("is refused with any byte of its index changed", async () => {
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    const start = made.blob.length - 3000;
    for (let at = start; at < made.blob.length - 72; at += 211) {
      const blob = Buffer.from(made.blob);
      blob[at]! ^= 0x10;
      addChunkedImage(directory, `byte${at}`, [{ ...made, blob, archive: NEW }]);
      await expect(machine.pull(`oci:${directory}:byte${at}`)).rejects.toMatchObject({
        code: "content-mismatch",
      });
    }
  });
});

describe("a repository that is not as it should be", () => {
  test("an index that is wrong cannot bring in another content", async () => {
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    const other = [...machine.contents.values()].find(({ size }) => size === 5000)!;
    machine.contents.set(`sha256:${sha256(pattern(5000, 4))}`, other);
    await expect(machine.pull(`oci:${directory}:new`)).rejects.toMatchObject({
      code: "content-mismatch",
      message: expect.stringContaining("diff ID"),
    });
  });

  test("an object that was damaged is not used, and not named in a layer", async () => {
    const machine = new Machine();
    await machine.pull(`oci:${directory}:old`);
    const { digest } = machine.contents.get(`sha256:${sha256(BIG)}`)!;
    const path = join(machine.repo.path, "objects", objectPath(digest));
    const bytes = readFileSync(path);
    bytes[1000]! ^= 1;
    writeFileSync(path, bytes);
    await expect(machine.pull(`oci:${directory}:new`)).rejects.toMatchObject({
      code: "object-corrupt",
      message: expect.stringContaining(digest),
    });
    // Also where the index was made anew of it: the layer would be right, but for the object's name.
    const damaged = archive(USR, member({ name: "usr/damaged" }, bytes));
    addChunkedImage(directory, "damaged", [layerOf(damaged)]);
    machine.contents.set(`sha256:${sha256(bytes)}`, { digest, size: bytes.length });
    await expect(machine.pull(`oci:${directory}:damaged`)).rejects.toMatchObject({
      code: "object-corrupt",
    });
    expect(machine.stream(damaged)).toBeUndefined();
  });
});
