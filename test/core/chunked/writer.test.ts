import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ComposefsError } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { chunkedBlob, indexOf, inflate, rejoined, sha256 } from "../../support/chunked.ts";
import { needs } from "../../support/needs.ts";
import { archive, header, member, pax } from "../../support/tar-bytes.ts";
import type { HeaderFields } from "../../support/tar-bytes.ts";

const zstd = await loadZstd();
const compression = zstd.compression;

/** Bytes that no compressor shortens, the same in each run. */
function noise(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0, state = seed; i < size; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

const SAMPLE = archive(
  member({ name: "dir/", typeflag: "5", mode: 0o755 }),
  pax([
    ["mtime", "1795826743.489342999"],
    ["atime", "-1.5"],
    ["SCHILY.xattr.user.key", "value\xff"],
  ]),
  member({ name: "dir/small", uid: 7, gid: 8 }, "hello"),
  member({ name: "dir/empty" }),
  member({ name: "dir/link", typeflag: "2", linkname: "small" }),
  member({ name: "dir/hard", typeflag: "1", linkname: "dir/small" }),
  member({ name: "null", typeflag: "3", devmajor: 1, devminor: 3 }),
  member({ name: "fifo", typeflag: "6" }),
  member({ name: "holes" }, Buffer.concat([noise(70_000), Buffer.alloc(5000), noise(3)])),
  member({ name: "n\xc3\xa4me" }, "x"),
);

describe("ChunkedLayerWriter", () => {
  test("makes blobs that are the archive for everybody else", () => {
    const made = chunkedBlob(SAMPLE);
    const { tocJson: _, toc } = indexOf(made);
    const data = made.blob.subarray(0, toc.entries.at(-1)!.chunks[0]!.end);
    expect(SAMPLE.subarray(0, inflate(data).length).equals(inflate(data))).toBe(true);
    expect(rejoined(made).equals(SAMPLE)).toBe(true);
    expect(made.size).toBe(made.blob.length);
  });

  test("says in the TOC what the headers say", () => {
    const { toc } = indexOf(chunkedBlob(SAMPLE));
    expect(toc.entries.map(({ name, type }) => [name, type])).toEqual([
      ["dir/", "dir"],
      ["dir/small", "reg"],
      ["dir/empty", "reg"],
      ["dir/link", "symlink"],
      ["dir/hard", "hardlink"],
      ["null", "char"],
      ["fifo", "fifo"],
      ["holes", "reg"],
      ["n\xc3\xa4me", "reg"],
    ]);
    const [, small, empty, link, , device] = toc.entries;
    expect(small).toMatchObject({
      mode: 0o644,
      uid: 7,
      gid: 8,
      size: 5,
      modTime: { sec: 1_795_826_743n, nsec: 489_342_999 },
      accessTime: { sec: -2n, nsec: 500_000_000 },
      changeTime: undefined,
      xattrs: new Map([["user.key", Uint8Array.from(Buffer.from("value\xff", "latin1"))]]),
      sha256: sha256(Buffer.from("hello")),
    });
    expect(empty).toMatchObject({ size: 0, sha256: "", chunks: [] });
    expect(link).toMatchObject({ linkName: "small" });
    expect(device).toMatchObject({ devMajor: 1, devMinor: 3 });
  });

  test("keeps long runs of zeros apart", () => {
    const { toc } = indexOf(chunkedBlob(SAMPLE));
    const holes = toc.entries.find(({ name }) => name === "holes")!;
    const zeros = holes.chunks.filter(({ kind }) => kind === "zeros");
    expect(zeros).toMatchObject([{ fileOffset: 70_000, size: 5000 }]);
    expect(holes.chunks.at(-1)).toMatchObject({ kind: "data", size: 3 });
  });

  test("cuts by content: what is inserted in front moves the cuts along", () => {
    const content = noise(1 << 20, 5);
    const digests = (bytes: Uint8Array): Set<string> => {
      const { toc } = indexOf(chunkedBlob(archive(member({ name: "f" }, bytes))));
      return new Set(toc.entries[0]!.chunks.map((chunk) => chunk.sha256));
    };
    const before = digests(content);
    const after = digests(Buffer.concat([Buffer.from("inserted"), content]));
    const same = [...before].filter((digest) => after.has(digest)).length;
    expect(before.size).toBeGreaterThan(8);
    expect(same).toBeGreaterThanOrEqual(before.size - 1);
  });

  test("bounds the pieces of a file that its content cuts nowhere", () => {
    const { toc } = indexOf(chunkedBlob(archive(member({ name: "f" }, Buffer.alloc(20 << 20, 1)))));
    expect(toc.entries[0]!.chunks.map(({ size }) => size)).toEqual([8 << 20, 8 << 20, 4 << 20]);
  });

  test("does not depend on how the archive is cut", () => {
    const pieces = (chunkSize?: number): unknown => {
      const made = chunkedBlob(SAMPLE, undefined, chunkSize);
      expect(rejoined(made).equals(SAMPLE)).toBe(true);
      return indexOf(made).toc.entries.map(({ chunks }) => chunks.map(({ sha256: of }) => of));
    };
    for (const size of [1, 511, 513, 4096]) expect(pieces(size)).toEqual(pieces());
  });

  test.each<[string, Uint8Array[], RegExp]>([
    ["a path twice", [member({ name: "a" }), member({ name: "./a" })], /"\.\/a".*twice/],
    ["names that are not UTF-8", [member({ name: "a\xff" })], /UTF-8/],
    [
      "xattr names that are not UTF-8",
      [pax([["SCHILY.xattr.a\xff", ""]]), member({ name: "a" })],
      /UTF-8/,
    ],
    [
      "sparse files",
      [
        pax([
          ["GNU.sparse.map", "0,1"],
          ["GNU.sparse.size", "5"],
        ]),
        member({ name: "a" }, "x"),
      ],
      /sparse/,
    ],
    [
      "records for the whole archive",
      [pax([["comment", "x"]], "g"), member({ name: "a" })],
      /whole/,
    ],
    ["a contiguous file", [member({ name: "a", typeflag: "7" }, "x")], /unusual type/],
    ["years after 9999", [pax([["mtime", "300000000000"]]), member({ name: "a" })], /time/],
    [
      "two long names",
      [
        pax([["path", "long"]]),
        member({ name: "././@LongLink", typeflag: "L", magic: "ustar  \0" }, "other\0"),
        member({ name: "a", magic: "ustar  \0" }),
      ],
      /two long names/,
    ],
    [
      "star",
      [header({ name: "a", tail: Buffer.concat([Buffer.alloc(163), Buffer.from("tar\0")]) })],
      /star/,
    ],
  ])("makes plain zstd of %s, and says so", (_, members, reason) => {
    const tar = archive(member({ name: "first" }, "content"), ...members);
    const made = chunkedBlob(tar);
    expect(made.refusal).toMatch(reason);
    expect(made.annotations).toEqual({});
    expect(inflate(made.blob).equals(tar)).toBe(true);
  });

  test("passes on what is wrong with an archive", () => {
    expect(() => chunkedBlob(SAMPLE.subarray(0, 700))).toThrow(ComposefsError);
  });

  test("gives back any archive, with and without a compressor", () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/);
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc
        .tuple(fc.nat(3000), fc.uint8Array({ maxLength: 50 }))
        .map(([zeros, rest]) => Buffer.concat([rest, Buffer.alloc(zeros), rest])),
      fc.nat(200_000).map((size) => noise(size, size + 1)),
    );
    const fields: fc.Arbitrary<HeaderFields> = fc.record({
      mode: fc.nat(0o7777),
      uid: fc.nat(70_000),
      mtime: fc.nat(0o77777777777),
      magic: fc.constantFrom("ustar\x0000", "ustar  \0", "\0\0\0\0\0\0\0\0"),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { maxLength: 8 }),
        fc.infiniteStream(fields),
        fc.infiniteStream(content),
        fc.nat(3),
        (names, more, contents, blocks) => {
          const members = names.map((each) =>
            member({ name: each, ...more.next().value }, contents.next().value),
          );
          const tar = Buffer.concat([archive(...members), Buffer.alloc(512 * blocks)]);
          const plain = chunkedBlob(tar);
          expect(plain.refusal).toBeUndefined();
          expect(rejoined(plain).equals(tar)).toBe(true);
          if (compression === undefined) return;
          expect(rejoined(chunkedBlob(tar, compression), zstd).equals(tar)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

const withZstd = needs("zstd");

withZstd.test("ChunkedLayerWriter: zstd decompresses the whole blob to the archive", () => {
  for (const made of [chunkedBlob(SAMPLE), chunkedBlob(SAMPLE, compression)]) {
    const done = spawnSync("zstd", ["-dc"], { input: made.blob });
    expect(done.stderr.toString()).toBe("");
    expect(done.stdout.equals(SAMPLE)).toBe(true);
  }
});
