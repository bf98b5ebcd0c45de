import { createHash } from "node:crypto";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  computeFsVerityDigest,
  digestAlgorithm,
  joinSplitStream,
  memorySource,
  openSplitStream,
} from "#src/core/mod.ts";
import type { FsVerityAlgorithm, FsVerityDigest, OciDigest } from "#src/core/mod.ts";
import { LayerSplitter } from "#src/sources/pull/layer-splitter.ts";
import { DEFAULT_LAYER_LIMITS } from "#src/sources/pull/limits.ts";
import type { LayerLimits } from "#src/sources/pull/limits.ts";
import type { ObjectSink } from "#src/sources/pull/object-sink.ts";
import { nodeHash } from "../../support/hash.ts";
import { splitLayer } from "../../support/layers.ts";
import { archive, header, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";
import { storedZstd } from "../../support/zstd.ts";

class MemorySink implements ObjectSink {
  readonly objects = new Map<FsVerityDigest, Buffer>();
  open = 0;

  put(data: Uint8Array): FsVerityDigest {
    const digest = computeFsVerityDigest(data, nodeHash("sha256"));
    this.objects.set(digest, Buffer.from(data));
    return digest;
  }

  begin(): ReturnType<ObjectSink["begin"]> {
    const pieces: Buffer[] = [];
    this.open++;
    return {
      write: (data) => pieces.push(Buffer.from(data)),
      finish: () => {
        this.open--;
        return this.put(Buffer.concat(pieces));
      },
      abort: () => this.open--,
    };
  }

  importFile(): FsVerityDigest {
    return this.put(fileContent);
  }

  readObject(digest: FsVerityDigest): Iterable<Uint8Array> {
    return [this.objects.get(digest)!];
  }
}

const fileContent = Buffer.alloc(300_000, "content");
const large = Buffer.from({ length: 3_000_000 } as ArrayLike<number>).map((_, i) => i * 7);
const ARCHIVE = archive(
  header({ name: "usr/", typeflag: "5", mode: 0o755 }),
  member({ name: "usr/empty" }),
  member({ name: "usr/small" }, "x".repeat(64)),
  member({ name: "usr/external" }, "y".repeat(65)),
  member({ name: "usr/large" }, large),
  member({ name: "usr/external-again" }, "y".repeat(65)),
);

const diffIdOf = (bytes: Uint8Array): OciDigest =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}` as OciDigest;

function splitterFor(
  bytes: Uint8Array,
  sink: ObjectSink,
  limits: Partial<LayerLimits> = {},
): LayerSplitter {
  return new LayerSplitter({
    diffId: diffIdOf(bytes),
    algorithm: "sha256" satisfies FsVerityAlgorithm,
    compression: undefined,
    limits: { ...DEFAULT_LAYER_LIMITS, ...limits },
    sink,
  });
}

function joined(stream: Uint8Array, sink: MemorySink): Buffer {
  const opened = openSplitStream(memorySource(stream));
  const read = (digest: FsVerityDigest): Buffer[] => [sink.objects.get(digest)!];
  return Buffer.concat(
    [...joinSplitStream(opened, storedZstd, read)].map((each) => Buffer.from(each)),
  );
}

describe("LayerSplitter", () => {
  test("makes the same stream and objects, however the archive is cut into pieces", () => {
    const expected = splitLayer(ARCHIVE);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700_000 }), { minLength: 1 }), (sizes) => {
        const sink = new MemorySink();
        const splitter = splitterFor(ARCHIVE, sink);
        for (let at = 0, i = 0; at < ARCHIVE.length; i++) {
          const size = sizes[i % sizes.length]! + 1000;
          splitter.bytes(ARCHIVE.subarray(at, at + size));
          at += size;
        }
        const layer = splitter.finish();
        expect(Buffer.from(layer.stream).equals(expected.stream)).toBe(true);
        expect(new Set(sink.objects.keys())).toEqual(new Set(expected.objects.keys()));
        expect(layer).toMatchObject({ size: ARCHIVE.length, entries: 6, sparseFiles: [] });
      }),
      { numRuns: 30 },
    );
  });

  test("refuses an archive that is another one", () => {
    const other = archive(member({ name: "other" }, "other"));
    const splitter = splitterFor(ARCHIVE, new MemorySink());
    splitter.bytes(other);
    expect(() => splitter.finish()).toThrow(expect.objectContaining({ code: "content-mismatch" }));
  });

  test("drops what is half written", () => {
    const sink = new MemorySink();
    const splitter = splitterFor(ARCHIVE, sink);
    splitter.bytes(ARCHIVE.subarray(0, ARCHIVE.indexOf("usr/large") + 100_000));
    expect(sink.open).toBe(1);
    splitter.discard();
    expect(sink.open).toBe(0);
  });

  test("takes content as open files and as objects, and hashes it", () => {
    const before = header({ name: "file", size: fileContent.length });
    const after = archive(member({ name: "next" }, "next"));
    const padding = Buffer.alloc((512 - (fileContent.length % 512)) % 512);
    const whole = Buffer.concat([
      before,
      fileContent,
      padding,
      before,
      fileContent,
      padding,
      after,
    ]);
    const path = join(tempDir(), "file");
    writeFileSync(path, fileContent);
    const fd = openSync(path, "r");
    const sink = new MemorySink();
    const splitter = splitterFor(whole, sink);
    splitter.bytes(before);
    splitter.file(fd, fileContent.length);
    splitter.bytes(padding);
    splitter.bytes(before);
    splitter.object([...sink.objects.keys()][0]!, fileContent.length);
    splitter.bytes(padding);
    splitter.bytes(after);
    closeSync(fd);
    const { stream } = splitter.finish();
    expect(joined(stream, sink).equals(whole)).toBe(true);
    expect(digestAlgorithm([...sink.objects.keys()][0]!)).toBe("sha256");
  });

  test("refuses a file that changed between hashing and import", () => {
    const path = join(tempDir(), "file");
    writeFileSync(path, Buffer.alloc(fileContent.length, "another"));
    const fd = openSync(path, "r");
    const splitter = splitterFor(ARCHIVE, new MemorySink());
    splitter.bytes(header({ name: "file", size: fileContent.length }));
    expect(() => splitter.file(fd, fileContent.length)).toThrow(
      expect.objectContaining({ code: "source-changed" }),
    );
    closeSync(fd);
  });

  test("makes an object of a sparse file with its holes, and gives the archive back", () => {
    // Old GNU: two pieces, of 512 bytes at 0 and of 100 at 8192.
    const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
    const tail = Buffer.alloc(155);
    tail.write(octal(0) + octal(512) + octal(8192) + octal(100), 386 - 345, "latin1");
    tail.write(octal(10_000), 483 - 345, "latin1");
    const content = Buffer.concat([Buffer.alloc(512, "a"), Buffer.alloc(100, "b")]);
    const sparse = member({ name: "sparse", typeflag: "S", magic: "ustar  \0", tail }, content);
    const bytes = archive(sparse);
    const sink = new MemorySink();
    const splitter = splitterFor(bytes, sink);
    splitter.bytes(bytes);
    const { stream, sparseFiles } = splitter.finish();
    const expanded = Buffer.alloc(10_000);
    expanded.fill("a", 0, 512);
    expanded.fill("b", 8192, 8292);
    expect(sparseFiles.map((digest) => sink.objects.get(digest)!.equals(expanded))).toEqual([true]);
    expect(openSplitStream(memorySource(stream)).objectRefs).toContain(sparseFiles[0]);
    expect(joined(stream, sink).equals(bytes)).toBe(true);
  });

  test.each([
    ["size", { size: ARCHIVE.length - 1 }, "layer-limit"],
    ["entries", { entries: 5 }, "tar-limit"],
    ["pathLength", { pathLength: 8 }, "tar-limit"],
  ])("stops at the limit of %s", (_, limits, code) => {
    const splitter = splitterFor(ARCHIVE, new MemorySink(), limits);
    const all = (): void => splitter.bytes(ARCHIVE);
    expect(all).toThrow(expect.objectContaining({ code }));
  });
});
