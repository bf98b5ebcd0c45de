import { createHash, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CONTENT_TYPE,
  ComposefsError,
  SplitStreamWriter,
  byteString,
  computeFsVerityDigest,
  digestBytes,
  joinSplitStream,
  memorySource,
  openSplitStream,
} from "#src/core/mod.ts";
import type {
  Decompression,
  FsVerityAlgorithm,
  FsVerityDigest,
  SplitStream,
} from "#src/core/mod.ts";
import { nodeHash } from "../../support/hash.ts";
import { needsThat } from "../../support/needs.ts";
import { header } from "../../support/tar-bytes.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { findLibzstd, storedZstd } from "../../support/zstd.ts";

const zstd = await loadZstd();
const libzstd = await findLibzstd();
/** What a compressor makes of the same bytes changes from version to version. */
const vectors = needsThat(
  libzstd?.version === "1.5.4" ? undefined : `needs libzstd 1.5.4, not ${libzstd?.version}`,
);

/** The published example: a layer with one file of 1000 zeros, named alpha. */
const EXAMPLE = Buffer.from(
  "53706c697453747265616d000000010c20000000000000007000000000000000" +
    "700000000000000070000000000000007000000000000000900000000000000099" +
    "00000000000000ed000000000000009000000000000000990000000000000" +
    "06f63696c61796572000a000000000000" +
    "f6fa43bbc0a7908e2ef77438244159e9dec289dfc4c49d229237f9797a6a9b79" +
    "28b52ffd2000010000" +
    "28b52ffd00585d0200440200feff616c7068610030303030373030303137353637" +
    "353100307573746172003030e8fb0e00144105c080186e2898200624e7a8000083" +
    "1b3463660d45c0cd6280df95d62c98d28221",
  "hex",
);

const digestOf = (data: Uint8Array, algorithm: FsVerityAlgorithm = "sha256"): FsVerityDigest =>
  computeFsVerityDigest(data, nodeHash(algorithm));

function join(
  bytes: Uint8Array,
  objects: readonly Uint8Array[],
  codec: Decompression = storedZstd,
): Buffer {
  const byDigest = new Map(
    objects.flatMap(
      (each) =>
        [
          [digestOf(each), each],
          [digestOf(each, "sha512"), each],
        ] as const,
    ),
  );
  const stream = openSplitStream(memorySource(bytes));
  const pieces: Buffer[] = [];
  for (const piece of joinSplitStream(stream, codec, (digest) => [byDigest.get(digest)!])) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

/** A ustar archive as Rust's tar crate writes it: the example's and its siblings. */
function tarOf(name: string, size: number): { head: Buffer; content: Buffer; tail: Buffer } {
  const fields = { name, mode: 0o700, size, devmajor: "", devminor: "" };
  const sum = header({ ...fields, chksum: "        " }).reduce((a, b) => a + b, 0);
  const head = header({ ...fields, chksum: `${sum.toString(8).padStart(7, "0")}\0` });
  return {
    head,
    content: Buffer.alloc(size),
    tail: Buffer.alloc(((512 - (size % 512)) % 512) + 1024),
  };
}

describe("the published splitstream", () => {
  test("is what the vector says", () => {
    expect(EXAMPLE).toHaveLength(237);
    expect(digestOf(EXAMPLE)).toBe(
      "61c07629b8a41273f190744a8545c132e6b784dcb2235bb31ade307a83e092ff",
    );
  });

  test("openSplitStream: reads its header and lists without decompressing", () => {
    const stream = openSplitStream(memorySource(EXAMPLE));
    expect(stream).toMatchObject({
      algorithm: "sha256",
      contentType: CONTENT_TYPE.ociLayer,
      size: 2560,
      streamRefs: [],
      objectRefs: ["f6fa43bbc0a7908e2ef77438244159e9dec289dfc4c49d229237f9797a6a9b79"],
    });
    expect(stream.namedRefs(storedZstd)).toEqual([]);
  });

  test("joinSplitStream: gives the archive back bit for bit", () => {
    const tar = join(EXAMPLE, [Buffer.alloc(1000)], zstd);
    expect(createHash("sha256").update(tar).digest("hex")).toBe(
      "757d6903198804b6ed96421a93a9973f5facc0e445a2a6c61cb0129eb67026e2",
    );
  });

  test("openSplitStream: reads the old header", () => {
    expect(openSplitStream(memorySource(withOldHeader(EXAMPLE)))).toMatchObject({
      contentType: CONTENT_TYPE.ociLayer,
      size: 2560,
      objectRefs: [digestOf(Buffer.alloc(1000))],
    });
  });
});

function withOldHeader(bytes: Uint8Array): Buffer {
  const old = Buffer.from(bytes);
  old.set(bytes.subarray(16, 32), 0);
  old.set(bytes.subarray(12, 14), 16);
  old.set(bytes.subarray(0, 11), 18);
  old.set(bytes.subarray(11, 12), 29);
  old.set(bytes.subarray(14, 16), 30);
  return old;
}

describe("SplitStreamWriter", () => {
  const options = { algorithm: "sha256", contentType: CONTENT_TYPE.ociLayer } as const;

  test("writes the fixed parts of the example byte for byte", () => {
    const writer = new SplitStreamWriter(options);
    const { head, content, tail } = tarOf("alpha", 1000);
    writer.writeInline(head);
    writer.writeExternal(content.length, digestOf(content));
    writer.writeInline(tail.subarray(0, 7));
    writer.writeInline(tail.subarray(7));
    const bytes = Buffer.from(writer.finish());
    // The end of the stream section is the only number that depends on the compressor.
    bytes.set(EXAMPLE.subarray(72, 80), 72);
    expect(bytes.subarray(0, 0x99).toString("hex")).toBe(EXAMPLE.subarray(0, 0x99).toString("hex"));
  });

  const layers = [
    [
      "alpha",
      1000,
      "757d6903198804b6ed96421a93a9973f5facc0e445a2a6c61cb0129eb67026e2",
      "61c07629b8a41273f190744a8545c132e6b784dcb2235bb31ade307a83e092ff",
    ],
    [
      "beta",
      2000,
      "77dd145166ef191089dabd4d2c52d32143850a3c81a074fedf48dca360e2dcb9",
      "ce472620ab69da46e385b0936865ef22f940e6bf55a083d3be37b1003795e221",
    ],
    [
      "gamma",
      3000,
      "9b57f0e91c403b650e9391fd5e4154cac5dc1469acc0f3312e6149aa34f160ef",
      "99ce11df4bb808a1e80ce69425dae527b64aa7a270bf99c4a6e24d66be270f3f",
    ],
  ] as const;

  for (const [name, size, diffId, digest] of layers) {
    vectors.test(`with libzstd makes the published stream of layer ${name}`, () => {
      const { head, content, tail } = tarOf(name, size);
      const tar = Buffer.concat([head, content, tail]);
      expect(createHash("sha256").update(tar).digest("hex")).toBe(diffId);
      const writer = new SplitStreamWriter({ ...options, compression: libzstd!.compression });
      writer.writeInline(head);
      writer.writeExternal(size, digestOf(content));
      writer.writeInline(tail);
      expect(digestOf(writer.finish())).toBe(digest);
    });
  }

  vectors.test("with libzstd makes the published stream of the config", () => {
    const diffIds = layers.map(([, , diffId]) => `sha256:${diffId}`);
    const config = Buffer.from(
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: diffIds },
      }),
    );
    expect(config).toHaveLength(299);
    const writer = new SplitStreamWriter({
      algorithm: "sha256",
      contentType: CONTENT_TYPE.ociConfig,
      compression: libzstd!.compression,
    });
    for (const [, , diffId, digest] of layers) {
      writer.addNamedRef(byteString(`sha256:${diffId}`), digest as FsVerityDigest);
    }
    writer.writeExternal(config.length, digestOf(config));
    expect(digestOf(writer.finish())).toBe(
      "4839518dea22749f8ff233e7f7baec65f23dd5336462f46ad6884769af84bf95",
    );
  });

  test("keeps streams, objects and names, each once", () => {
    const [a, b, c] = ["a", "b", "c"].map((text) => digestOf(Buffer.from(text)));
    const writer = new SplitStreamWriter(options);
    writer.addNamedRef(byteString("z"), b!);
    writer.addNamedRef(byteString("a:b"), a!);
    writer.addNamedRef(byteString("again"), b!);
    writer.addNamedRef(byteString("a:b"), c!);
    writer.writeExternal(1, b);
    writer.writeExternal(1, a);
    writer.writeExternal(1, b);
    writer.addObject(c!);
    writer.addObject(a!);
    const stream = openSplitStream(memorySource(writer.finish()));
    expect(stream.streamRefs).toEqual([b, a, c]);
    expect(stream.objectRefs).toEqual([b, a, c]);
    expect(stream.size).toBe(3);
    expect(stream.namedRefs(storedZstd)).toEqual([
      { name: "a:b", digest: c },
      { name: "again", digest: b },
      { name: "z", digest: b },
    ]);
    expect(chunksOf(stream)).toEqual([b, a, b]);
  });

  test("takes a digest that comes late, and misses one that does not come", () => {
    const digest = digestOf(Buffer.from("late"));
    const writer = new SplitStreamWriter(options);
    const chunk = writer.writeExternal(4);
    expect(() => writer.finish()).toThrow(TypeError);
    chunk.digest = digest;
    expect(chunksOf(openSplitStream(memorySource(writer.finish())))).toEqual([digest]);
  });

  test("refuses a digest of the other algorithm", () => {
    const writer = new SplitStreamWriter(options);
    writer.writeExternal(1, digestOf(Buffer.from("x"), "sha512"));
    expect(() => writer.finish()).toThrow(TypeError);
    expect(() => writer.addNamedRef(byteString("n"), digestOf(Buffer.from("x"), "sha512"))).toThrow(
      TypeError,
    );
  });

  test("gives any file back bit for bit, and merges inline data", () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ inline: Buffer.from(bytes) })),
      fc.nat({ max: 200_000 }).map((size) => ({ inline: Buffer.alloc(size, size) })),
      fc
        .uint8Array({ minLength: 1, maxLength: 50 })
        .map((bytes) => ({ external: Buffer.from(bytes) })),
    );
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 12 }),
        fc.constantFrom<FsVerityAlgorithm>("sha256", "sha512"),
        (parts, algorithm) => {
          const writer = new SplitStreamWriter({ algorithm, contentType: 0xafe138c18c463ef1n });
          for (const each of parts) {
            if ("inline" in each) writer.writeInline(each.inline);
            else writer.writeExternal(each.external.length, digestOf(each.external, algorithm));
          }
          const file = Buffer.concat(
            parts.map((each) => ("inline" in each ? each.inline : each.external)),
          );
          const objects = parts.flatMap((each) => ("external" in each ? [each.external] : []));
          const bytes = writer.finish();
          const stream = openSplitStream(memorySource(bytes));
          expect([stream.size, writer.size, stream.contentType]).toEqual([
            file.length,
            file.length,
            0xafe138c18c463ef1n,
          ]);
          expect(join(bytes, objects).equals(file)).toBe(true);
          expect(join(withOldHeader(bytes), objects).equals(file)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("stores frames that zstd reads", () => {
    const writer = new SplitStreamWriter(options);
    const file = Buffer.concat([randomBytes(300_000), Buffer.alloc(500_000), Buffer.from("end")]);
    writer.writeInline(file);
    writer.addNamedRef(byteString("n".repeat(100)), digestOf(file));
    const bytes = writer.finish();
    expect(bytes.length).toBeLessThan(301_000);
    expect(join(bytes, [], zstd).equals(file)).toBe(true);
    expect(openSplitStream(memorySource(bytes)).namedRefs(zstd)).toHaveLength(1);
  });

  test("stores nothing, and a few bytes, as libzstd does", () => {
    const writer = new SplitStreamWriter(options);
    writer.addNamedRef(byteString("x"), digestOf(Buffer.from("x")));
    const withName = Buffer.from(writer.finish()).toString("hex");
    expect(withName).toContain("28b52ffd0058210000303a7800");
    expect(withName.endsWith("28b52ffd2000010000")).toBe(true);
  });
});

function chunksOf(stream: SplitStream): (FsVerityDigest | string)[] {
  return [...stream.chunks(storedZstd)].map((chunk) =>
    chunk.kind === "inline" ? Buffer.from(chunk.bytes).toString("latin1") : chunk.digest,
  );
}

describe("openSplitStream: damaged streams", () => {
  const content = Buffer.from("object");
  const writer = new SplitStreamWriter({ algorithm: "sha256", contentType: CONTENT_TYPE.ociLayer });
  writer.addNamedRef(byteString("name"), digestOf(content));
  writer.writeInline(Buffer.from("before"));
  writer.writeExternal(content.length, digestOf(content));
  writer.writeInline(Buffer.alloc(2000));
  const sample = Buffer.from(writer.finish());

  function readAll(bytes: Uint8Array): void {
    const stream = openSplitStream(memorySource(bytes));
    stream.namedRefs(storedZstd);
    for (const chunk of stream.chunks(storedZstd)) {
      if (chunk.kind === "external") digestBytes(chunk.digest);
    }
  }

  const changed = (at: number, ...values: number[]): Buffer => {
    const bytes = Buffer.from(sample);
    bytes.set(values, at);
    return bytes;
  };

  test.each([
    ["no magic", changed(0, 0), "magic"],
    ["another version", changed(11, 1), "version 1"],
    ["an unknown algorithm", changed(14, 3), "algorithm 3"],
    ["another block size", changed(15, 16), "block size"],
    ["a short info section", changed(24, 0x6f), "info section"],
    ["a range that ends before it starts", changed(32, 0xff), "section"],
    ["a range beyond the end", changed(56, 0xff, 0xff), "section"],
    ["a list that is no multiple of a digest", changed(56, 0xaf), "digests"],
    ["a size of 2^63 bytes", changed(104, 0, 0, 0, 0, 0, 0, 0, 0x80), "size"],
    ["more inline bytes than its size", changed(104, 1, 0), "inline"],
  ])("refuses %s", (_, bytes, reason) => {
    expect(() => readAll(bytes)).toThrow(ComposefsError);
    expect(() => readAll(bytes)).toThrow(reason);
  });

  test("refuses an object and a name that are not in the lists", () => {
    const stream = Buffer.from(sample);
    // The list of objects, and that of streams, made empty.
    expect(() => readAll(withBytes(stream, 56, stream.subarray(48, 56)))).toThrow("object 0 of 0");
    expect(() => readAll(withBytes(stream, 40, stream.subarray(32, 40)))).toThrow(
      "named reference",
    );
  });

  test("answers every truncation with an error", () => {
    for (let length = 0; length < sample.length; length++) {
      expect(() => readAll(sample.subarray(0, length))).toThrow(ComposefsError);
    }
  });

  test("answers every flipped bit with a result or its own error", () => {
    let errors = 0;
    for (let bit = 0; bit < 8 * sample.length; bit++) {
      const bytes = Buffer.from(sample);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      try {
        readAll(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ComposefsError);
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(100);
  });
});

function withBytes(bytes: Buffer, at: number, value: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  copy.set(value, at);
  return copy;
}
