import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CONTENT_TYPE,
  ComposefsError,
  SplitStreamWriter,
  computeFsVerityDigest,
  joinSplitStream,
  layerEntryOf,
  memorySource,
  openSplitStream,
  readLayer,
} from "#src/core/mod.ts";
import type {
  Decompression,
  FsVerityAlgorithm,
  FsVerityDigest,
  LayerEntry,
  ReadLayerOptions,
} from "#src/core/mod.ts";
import { PeerImage, cfsctlMissing } from "../../support/cfsctl.ts";
import { nodeHash } from "../../support/hash.ts";
import { randomStack } from "../../support/layer-model.ts";
import { contentOf, entriesOf, splitLayer } from "../../support/layers.ts";
import { needsThat } from "../../support/needs.ts";
import { archive, header, member, padded, pax, readArchive } from "../../support/tar-bytes.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { storedZstd } from "../../support/zstd.ts";

const zstd = await loadZstd();
const peer = needsThat(cfsctlMissing);

function read(stream: Uint8Array, options: Partial<ReadLayerOptions> = {}): LayerEntry[] {
  const all = { decompression: storedZstd, ...options };
  return [...readLayer(openSplitStream(memorySource(stream)), all)];
}

function join(
  stream: Uint8Array,
  decompression: Decompression,
  readObject: (digest: FsVerityDigest) => Uint8Array,
): Buffer {
  const open = openSplitStream(memorySource(stream));
  const pieces: Buffer[] = [];
  for (const piece of joinSplitStream(open, decompression, (digest) => [readObject(digest)])) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

describe("readLayer", () => {
  test("gives the entries of the archive that the stream was made of", () => {
    fc.assert(
      fc.property(
        randomStack,
        fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512"),
        (stack, algorithm) => {
          for (const { archive: bytes } of stack.layers) {
            const { stream, objects } = splitLayer(bytes, algorithm);
            expect(read(stream)).toEqual(entriesOf(bytes, algorithm));
            expect(join(stream, storedZstd, (digest) => objects.get(digest)!).equals(bytes)).toBe(
              true,
            );
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("knows the objects of composefs-rs's example by digest", () => {
    const sizes = [0, 4095, 4096, 4097];
    const bytes = Buffer.concat(
      sizes.map((size) => member({ name: `file${size}`, mode: 0o700 }, Buffer.alloc(size))),
    );
    const contents = read(splitLayer(bytes).stream).map((entry) =>
      entry.kind === "leaf" && entry.leaf.kind === "file" ? entry.leaf.content : undefined,
    );
    expect(contents).toEqual([
      { kind: "inline", data: new Uint8Array(0) },
      external(4095, "5372beb83c78537c8970c8361e3254119fafdf1763854ecd57d3f0fe2da7c719"),
      external(4096, "babc284ee4ffe7f449377fbf6692715b43aec7bc39c094a95878904d34bac97e"),
      external(4097, "093756e4ea9683329106d4a16982682ed182c14bf076463a9e7f97305cbac743"),
    ]);
  });

  test("ignores PAX records for the whole archive, unless told to apply them", () => {
    const { stream } = splitLayer(archive(pax([["uid", "7"]], "g"), header()));
    expect(read(stream)).toMatchObject([{ leaf: { stat: { uid: 0 } } }]);
    expect(read(stream, { tar: { globalRecords: "apply" } })).toMatchObject([
      { leaf: { stat: { uid: 7 } } },
    ]);
  });

  test("takes inline data and objects alike", () => {
    const bytes = archive(member({}, Buffer.alloc(64, 1)), member({}, Buffer.alloc(65, 2)));
    expect(read(splitLayer(bytes).stream)).toEqual(entriesOf(bytes));
  });
});

function external(size: number, digest: string): object {
  return { kind: "external", size, digest, path: `${digest.slice(0, 2)}/${digest.slice(2)}` };
}

describe("readLayer: sparse files", () => {
  const sparse = (size: number, ...segments: [offset: number, size: number][]): Buffer => {
    const stored = segments.reduce((sum, [, each]) => sum + each, 0);
    const map = segments.flat().join(",");
    return archive(
      pax([
        ["GNU.sparse.size", String(size)],
        ["GNU.sparse.map", map],
      ]),
      member({}, Buffer.alloc(stored, 0x78)),
    );
  };

  test("fills the holes of a small one", () => {
    const [entry] = read(splitLayer(sparse(20, [3, 2], [10, 1])).stream);
    const data = Buffer.from("\0\0\0xx\0\0\0\0\0x\0\0\0\0\0\0\0\0\0");
    expect(entry).toMatchObject({
      leaf: { content: { kind: "inline", data: Uint8Array.from(data) } },
    });
  });

  test.each([
    [
      "in the stream",
      sparse(5000, [3, 2], [10, 1]),
      { kind: "inline", data: Uint8Array.from(Buffer.from("xxx")) },
    ],
    ["in an object", sparse(5000, [3, 100]), contentOf(Buffer.alloc(100, 0x78), "sha256")],
  ])("asks for the content of a large one, with what is %s", (_, bytes, stored) => {
    const asked: unknown[] = [];
    const whole = { kind: "sparse" as const, size: 5000 };
    const [entry] = read(splitLayer(bytes).stream, {
      expandSparse: (tarEntry, content) => {
        asked.push([tarEntry.path, tarEntry.size, content]);
        return whole;
      },
    });
    expect(asked).toEqual([["file", 5000, stored]]);
    expect(entry).toMatchObject({ leaf: { content: whole } });
  });

  test("refuses a large one when nobody can expand it", () => {
    expect(() => read(splitLayer(sparse(5000, [3, 100])).stream)).toThrow("sparse file");
  });
});

describe("readLayer: streams that are no layers", () => {
  const digest = computeFsVerityDigest(Buffer.alloc(100), nodeHash("sha256"));
  type Part = Uint8Array | number;

  function streamOf(...parts: readonly Part[]): Uint8Array {
    const writer = new SplitStreamWriter({
      algorithm: "sha256",
      contentType: CONTENT_TYPE.ociLayer,
    });
    for (const part of parts) {
      if (typeof part === "number") writer.writeExternal(part, digest);
      else writer.writeInline(part);
    }
    return writer.finish();
  }

  const end = Buffer.alloc(1024);

  test.each<[string, Part[], string]>([
    ["an object in front of everything", [100, end], "no file's content"],
    ["an object behind an entry without content", [header(), 100, end], "no file's content"],
    [
      "two objects for one file",
      [header({ size: 100 }), 100, 100, Buffer.alloc(412), end],
      "no file's content",
    ],
    [
      "an object behind the first bytes",
      [header({ size: 100 }), Buffer.alloc(1), 100, end],
      "no file's content",
    ],
    ["an object inside a header", [header().subarray(0, 10), 100, end], "no file's content"],
    [
      "an object at the end",
      [header({ size: 100 }), 100, Buffer.alloc(412), end, 100],
      "no file's content",
    ],
    [
      "an object for a small file",
      [header({ size: 10 }), 100, Buffer.alloc(502), end],
      "only 10 bytes",
    ],
    [
      "inline bytes of a large file",
      [header({ size: 65 }), padded(Buffer.alloc(65)), end],
      "more than 64 bytes",
    ],
  ])("refuses %s", (_, parts, reason) => {
    const attempt = (): unknown => read(streamOf(...parts));
    expect(attempt).toThrow(ComposefsError);
    expect(attempt).toThrow(reason);
  });

  test("takes an archive that ends with an object's padding missing", () => {
    expect(read(streamOf(header({ size: 100 }), 100))).toHaveLength(1);
  });

  test("refuses a stream with an object in the padding", () => {
    expect(() => read(streamOf(header({ size: 100 }), 100, Buffer.alloc(10), 100))).toThrow(
      "no file's content",
    );
  });
});

describe("layerEntryOf", () => {
  test.each([
    [0, 0, 0],
    [4, 300, 0x10042c],
    [8, 17, 0x811],
    [4095, 1_048_575, 0xffffffff],
  ])("encodes the device number %i:%i as the kernel does", (devmajor, devminor, rdev) => {
    const [entry] = entriesOf(archive(header({ typeflag: "4", devmajor, devminor })));
    expect(entry).toMatchObject({ kind: "leaf", leaf: { kind: "blockdev", rdev } });
  });

  test("makes an empty file without content", () => {
    const [entry] = readArchive(archive(header())).entries;
    const content = { kind: "inline", data: new Uint8Array(0) };
    expect(layerEntryOf(entry!)).toMatchObject({ leaf: { content } });
  });
});

peer.describe("readLayer and the streams of composefs-rs", () => {
  test("reads the same entries, and the archive again bit for bit", () => {
    fc.assert(
      fc.property(
        randomStack.filter(({ dump, hasOddRun }) => dump("sha256") !== "" && !hasOddRun),
        fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512"),
        (stack, algorithm) => {
          const archives = stack.layers.map((layer) => layer.archive);
          const image = new PeerImage(archives, 1, algorithm);
          expect(image.refusal).toBe("");
          for (const bytes of archives) {
            const stream = image.layerStream(bytes);
            expect(read(stream, { decompression: zstd })).toEqual(entriesOf(bytes, algorithm));
            const whole = join(stream, zstd, (digest) => image.object(digest));
            expect(whole.equals(bytes)).toBe(true);
          }
        },
      ),
      { numRuns: 10 },
    );
  }, 120_000);

  test("makes streams that composefs-rs reads, without a compressor too", () => {
    const files = [member({ name: "a" }, Buffer.alloc(5000, 7)), member({ name: "b" }, "small")];
    const bytes = archive(header({ name: "usr/", typeflag: "5" }), ...files);
    const image = new PeerImage([bytes], 1, "sha512");
    const { stream, objects } = splitLayer(bytes, "sha512");
    expect(image.catForeign(stream, objects).equals(bytes)).toBe(true);
  });

  test("makes the streams that composefs-rs makes, but for the version of zstd", () => {
    const bytes = archive(
      header({ name: "usr/", typeflag: "5" }),
      member({}, Buffer.alloc(5000, 7)),
    );
    const theirs = new PeerImage([bytes], 1, "sha512").layerStream(bytes);
    const ours = Buffer.from(splitLayer(bytes, "sha512").stream);
    // Header, info section but for where the frame ends, digests and the empty list of names.
    ours.set(theirs.subarray(72, 80), 72);
    expect(ours.subarray(0, 112 + 64 + 9).equals(theirs.subarray(0, 112 + 64 + 9))).toBe(true);
  });
});
