/**
 * Blobs that lie: whatever bit is wrong and wherever something ends, each reader answers or throws an error
 * of ours, at once and in little memory.
 */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CHUNKED_ANNOTATION,
  ComposefsError,
  DEFAULT_CHUNKED_LIMITS,
  decodeChunkedFooter,
  parseChunkedAnnotations,
  parseChunkedToc,
  readTarSplit,
  reassembleLayer,
} from "#src/core/mod.ts";
import type { ChunkedLimits } from "#src/core/mod.ts";
import { chunkedBlob, footerOf, indexOf } from "../../support/chunked.ts";
import { archive, header, member, pax } from "../../support/tar-bytes.ts";

const SAMPLE = archive(
  member({ name: "dir/", typeflag: "5" }),
  pax([["SCHILY.xattr.user.key", "value"]]),
  member({ name: "dir/a", uid: 7 }, "content of a"),
  member(
    { name: "dir/b" },
    Buffer.concat([Buffer.from("b"), Buffer.alloc(2000), Buffer.from("b")]),
  ),
  member({ name: "dir/link", typeflag: "1", linkname: "dir/a" }),
);
const made = chunkedBlob(SAMPLE);
const { tocJson, tarSplit, toc } = indexOf(made);
const dataEnd = toc.entries[2]!.chunks.at(-1)!.end;
const DIGEST = "a".repeat(64);

/** The code of what is thrown; "answer" when nothing is. */
function outcome(work: () => unknown): string {
  const start = process.cpuUsage();
  try {
    work();
    return "answer";
  } catch (error) {
    if (!(error instanceof ComposefsError)) throw error;
    return error.code;
  } finally {
    const { user, system } = process.cpuUsage(start);
    // Microseconds of processor time: what else runs on the machine must not count.
    expect(user + system).toBeLessThan(2_000_000);
  }
}

function readAll(json: Uint8Array, split: Uint8Array): void {
  const parsed = parseChunkedToc(json, { dataEnd });
  for (const part of reassembleLayer(parsed, readTarSplit([split]))) void part;
}

/** The entries of the sample's TOC as JSON, changed. */
function changedToc(change: (toc: Record<string, any>) => void): Buffer {
  const json = JSON.parse(tocJson.toString());
  change(json);
  return Buffer.from(JSON.stringify(json));
}

/** The records of the sample's tar-split, changed. */
function changedSplit(change: (records: Record<string, any>[]) => void): Buffer {
  const records = tarSplit
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  change(records);
  return Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(""));
}

describe("TOC", () => {
  test("is refused wherever it is cut", () => {
    for (let length = 0; length < tocJson.length; length++) {
      const cut = tocJson.subarray(0, length);
      expect(outcome(() => parseChunkedToc(cut, { dataEnd }))).toBe("corrupt-chunked");
    }
  });

  test("is answered or refused with any bit turned", () => {
    const codes = new Set<string>();
    for (let at = 0; at < tocJson.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const turned = Buffer.from(tocJson);
        turned[at]! ^= 1 << bit;
        codes.add(outcome(() => readAll(turned, tarSplit)));
      }
    }
    expect([...codes].sort()).toEqual(["answer", "corrupt-chunked"]);
  });

  type Change = (toc: Record<string, any>) => void;
  test.each<[string, Change, RegExp]>([
    ["another version", (t) => (t["version"] = 2), /version 2/],
    ["no version", (t) => delete t["version"], /version undefined/],
    ["a digest of another kind", (t) => (t["tarSplitDigest"] = "md5:0"), /not a sha256/],
    ["an entry that is no object", (t) => (t["entries"][0] = []), /no object/],
    ["a number for a name", (t) => (t["entries"][0].name = 5), /"name" is no string/],
    ["no name", (t) => delete t["entries"][0].name, /without a name/],
    ["an unknown type", (t) => (t["entries"][0].type = "door"), /of type "door"/],
    ["a negative size", (t) => (t["entries"][2].size = -1), /"size" is no number/],
    ["a size over 2^53", (t) => (t["entries"][2].size = 2 ** 60), /"size" is no number/],
    ["half a byte", (t) => (t["entries"][2].size = 1.5), /"size" is no number/],
    ["an owner over 2^32", (t) => (t["entries"][2].uid = 2 ** 32), /"uid" is no number/],
    ["a directory with a size", (t) => (t["entries"][0].size = 1), /no file and has a size/],
    ["content without a digest", (t) => delete t["entries"][1].digest, /not a sha256/],
    [
      "content without bytes",
      (t) => (t["entries"][1].endOffset = t["entries"][1].offset),
      /without bytes/,
    ],
    [
      "content that ends before it starts",
      (t) => (t["entries"][1].endOffset = 1),
      /overlap|outside/,
    ],
    ["content outside of the data", (t) => (t["entries"].at(-2).offset = 1e9), /overlap|outside/],
    ["two files in one place", (t) => (t["entries"][2].offset = t["entries"][1].offset), /overlap/],
    [
      "chunks that leave something out",
      (t) => (t["entries"][3].chunkOffset = 5),
      /make up the file/,
    ],
    ["chunks that are too small", (t) => (t["entries"].at(-2).chunkSize = 0.5), /no number/],
    ["chunks that reach too far", (t) => (t["entries"][2].chunkSize = 1e6), /make up the file/],
    ["a chunk without a digest", (t) => delete t["entries"][2].chunkDigest, /without a digest/],
    ["a chunk of another file", (t) => (t["entries"][3].name = "x"), /does not belong/],
    [
      "a chunk in front of all files",
      (t) => t["entries"].unshift({ type: "chunk", name: "x" }),
      /without a file/,
    ],
    [
      "a chunk of a directory",
      (t) => t["entries"].splice(1, 0, { type: "chunk", name: "dir/" }),
      /does not belong/,
    ],
    ["a chunk of an unknown type", (t) => (t["entries"][3].chunkType = "ones"), /of type "ones"/],
    ["one name twice", (t) => t["entries"].push({ type: "dir", name: "dir/" }), /twice/],
    ["xattrs that are no object", (t) => (t["entries"][0].xattrs = [1]), /no object/],
    ["xattrs that are not base64", (t) => (t["entries"][0].xattrs = { a: "?" }), /not base64/],
    ["a time that is none", (t) => (t["entries"][0].modtime = "2026-02-30T00:00:00Z"), /no time/],
    [
      "an entry that the archive lacks",
      (t) => t["entries"].push({ type: "dir", name: "x" }),
      /not in the archive/,
    ],
    ["no entry for a file", (t) => t["entries"].pop(), /archive alone/],
    ["another name than the archive", (t) => (t["entries"][0].name = "other"), /another entry/],
    ["another type than the archive", (t) => (t["entries"][0].type = "fifo"), /its type/],
    ["another mode than the archive", (t) => (t["entries"][0].mode = 0o777), /its mode/],
    ["another owner than the archive", (t) => (t["entries"][1].uid = 0), /its uid/],
    [
      "another target than the archive",
      (t) => (t["entries"].at(-1).linkName = "x"),
      /its linkName/,
    ],
  ])("is refused with %s", (_, change, reason) => {
    const changed = changedToc(change);
    expect(outcome(() => readAll(changed, tarSplit))).toBe("corrupt-chunked");
    expect(() => readAll(changed, tarSplit)).toThrow(reason);
  });

  test.each([
    ["nothing", ""],
    ["no object", "[]"],
    ["a member cut", `{"version":1,"entries":[`],
    ["a second object", `{"version":1}{}`],
    ["no comma", `{"version":1 "entries":[]}`],
    ["no UTF-8", `{"version":1,"entries":[{"type":"dir","name":"\xff"}]}`],
    ["closed too early", `{"version":1,"entries":[}`],
  ])("is refused when its JSON has %s", (_, json) => {
    const bytes = Buffer.from(json, "latin1");
    expect(outcome(() => parseChunkedToc(bytes, { dataEnd }))).toBe("corrupt-chunked");
  });

  test("takes fields that are not known, and blanks", () => {
    const json = ` { "version" : 1 , "future" : { "a" : [ "}" , "\\"]" ] } , "entries" : [ ] , "b":[[1]] } \n`;
    expect(parseChunkedToc(Buffer.from(json), { dataEnd })).toEqual({
      entries: [],
      tarSplitSha256: undefined,
    });
  });

  test("does not take keys of the language for fields", () => {
    const json = `{"version":1,"entries":[{"type":"dir","name":"__proto__","xattrs":{"__proto__":"YQ=="}}]}`;
    const [entry] = parseChunkedToc(Buffer.from(json), { dataEnd }).entries;
    expect([...entry!.xattrs]).toEqual([["__proto__", Uint8Array.of(0x61)]]);
  });

  test.each<[string, () => Buffer]>([
    ["deep nesting", () => Buffer.from(`{"version":1,"entries":[${"[".repeat(5e6)}`)],
    ["deep nesting of objects", () => Buffer.from(`{"a":${`{"a":`.repeat(1e6)}`)],
    ["a string without end", () => Buffer.from(`{"version":1,"entries":["${"x".repeat(2e7)}`)],
    ["one huge entry", () => Buffer.from(`{"entries":[{"name":"${"x".repeat(2e7)}"}]}`)],
    ["more entries than the limit", () => Buffer.from(`{"entries":[${"{},".repeat(1e5)}{}]}`)],
    [
      "more xattrs than the limit",
      () => {
        const xattrs = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`u${i}`, ""]));
        const entries = Array.from({ length: 50 }, (_, i) => ({
          ...{ type: "dir", name: `d${i}` },
          xattrs,
        }));
        return Buffer.from(JSON.stringify({ version: 1, entries }));
      },
    ],
    ["many keys", () => Buffer.from(`{${`"a":1,`.repeat(1e5)}`)],
  ])("is refused quickly with %s", (_, make) => {
    const limits: ChunkedLimits = { ...DEFAULT_CHUNKED_LIMITS, entries: 50_000, xattrs: 20_000 };
    const bytes = make();
    expect(outcome(() => parseChunkedToc(bytes, { dataEnd, limits }))).toBe("corrupt-chunked");
  });
});

describe("tar-split", () => {
  test("is refused wherever it is cut, but for its last line", () => {
    const lastLine = tarSplit.lastIndexOf("\n", tarSplit.length - 2) + 1;
    for (let length = 0; length < lastLine; length += 7) {
      const code = outcome(() => readAll(tocJson, tarSplit.subarray(0, length)));
      expect(["corrupt-chunked", "corrupt-tar"]).toContain(code);
    }
  });

  test("is answered or refused with any bit turned", () => {
    const codes = new Set<string>();
    for (let at = 0; at < tarSplit.length; at++) {
      const turned = Buffer.from(tarSplit);
      turned[at]! ^= 1 << (at % 8);
      codes.add(outcome(() => readAll(tocJson, turned)));
    }
    codes.delete("tar-limit");
    codes.delete("unsupported-tar");
    expect([...codes].sort()).toEqual(["answer", "corrupt-chunked", "corrupt-tar"]);
  });

  type Change = (records: Record<string, any>[]) => void;
  test.each<[string, Change, RegExp]>([
    ["an unknown type", (r) => (r[0]!["type"] = 3), /not known/],
    ["a segment without bytes", (r) => (r[0]!["payload"] = null), /not base64/],
    ["a segment that is not base64", (r) => (r[0]!["payload"] = "a"), /not base64/],
    ["a negative size", (r) => (r[3]!["size"] = -1), /absurd/],
    ["an absurd size", (r) => (r[3]!["size"] = 2 ** 70), /absurd/],
    ["another size than the header", (r) => (r[3]!["size"] = 11), /11 bytes in the tar-split/],
    ["a file that no header announces", (r) => r.splice(4, 0, r[3]!), /out of place/],
    ["a file in front of all headers", (r) => r.unshift({ type: 1, size: 5 }), /out of place/],
    ["content in a segment", (r) => (r[3] = { type: 2, payload: "eHg=" }), /content of a file/],
    ["another order", (r) => r.splice(0, 2), /another entry/],
  ])("is refused with %s", (_, change, reason) => {
    const changed = changedSplit(change);
    expect(outcome(() => readAll(tocJson, changed))).toBe("corrupt-chunked");
    expect(() => readAll(tocJson, changed)).toThrow(reason);
  });

  test("is read from pieces of any size", () => {
    for (const size of [1, 2, 1000]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < tarSplit.length; at += size)
        pieces.push(tarSplit.subarray(at, at + size));
      const parts = [...reassembleLayer(toc, readTarSplit(pieces))];
      expect(parts.filter(({ kind }) => kind === "content")).toHaveLength(2);
    }
  });

  test("is refused when a record never ends", () => {
    const endless = function* (): Generator<Uint8Array> {
      for (let i = 0; i < 1e6; i++) yield Buffer.alloc(1 << 16, "x");
    };
    expect(outcome(() => [...readTarSplit(endless())])).toBe("corrupt-chunked");
  });

  test.each(["\n", `{"type":1}\n`, `{"type":2,"payload":""}\n`])(
    "is refused when it has %j without end",
    (line) => {
      const piece = Buffer.from(line.repeat(50_000));
      const endless = function* (): Generator<Uint8Array> {
        for (;;) yield piece;
      };
      const limits = { ...DEFAULT_CHUNKED_LIMITS, entries: 50_000 };
      const read = (): void => {
        for (const record of readTarSplit(endless(), limits)) void record;
      };
      expect(outcome(read)).toBe("corrupt-chunked");
    },
  );

  test("is refused with a sparse file, whose content is not what the TOC has", () => {
    const record = (bytes: Uint8Array): string =>
      `${JSON.stringify({ type: 2, payload: Buffer.from(bytes).toString("base64"), position: 0 })}\n`;
    const sparse = Buffer.concat([
      pax([
        ["GNU.sparse.map", "0,1"],
        ["GNU.sparse.size", "5"],
      ]),
      header({ name: "f", size: 1 }),
    ]);
    const entry = {
      type: "reg",
      name: "f",
      mode: 0o644,
      size: 5,
      digest: `sha256:${DIGEST}`,
      offset: 1,
      endOffset: 2,
    };
    const json = Buffer.from(JSON.stringify({ version: 1, entries: [entry] }));
    expect(() => readAll(json, Buffer.from(record(sparse)))).toThrow(/sparse/);
  });
});

describe("footer", () => {
  const footer = footerOf(made.blob);

  test("is refused when it is cut, and nothing without its magic", () => {
    for (let length = 0; length < footer.length; length++) {
      const cut = footer.subarray(0, length);
      expect(outcome(() => decodeChunkedFooter(cut, made.blob.length))).toBe("corrupt-chunked");
    }
    expect(decodeChunkedFooter(Buffer.alloc(64), 1000)).toBeUndefined();
  });

  test("is answered or refused whatever it holds", () => {
    for (let at = 0; at < 8 * footer.length; at++) {
      const turned = Buffer.from(footer);
      turned[at >> 3]! ^= 1 << (at & 7);
      expect(["answer", "corrupt-chunked"]).toContain(
        outcome(() => decodeChunkedFooter(turned, made.blob.length)),
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 56, maxLength: 56 }), (bytes) => {
        const any = Buffer.concat([bytes, Buffer.from("GNUlInUx")]);
        expect(outcome(() => decodeChunkedFooter(any, 1000))).toBe("corrupt-chunked");
      }),
    );
  });
});

describe("annotations", () => {
  const { tocDigest, tocPosition, tarSplitPosition, tarSplitDigest } = CHUNKED_ANNOTATION;
  const good = made.annotations;
  const size = made.blob.length;
  const parse = (changes: Record<string, string>): unknown =>
    parseChunkedAnnotations({ ...good, ...changes }, size);

  test("say what is no zstd:chunked", () => {
    expect(parseChunkedAnnotations({}, size)).toBeUndefined();
    expect(parseChunkedAnnotations({ [tocPosition]: "1:2:3:1" }, size)).toBeUndefined();
  });

  test("are read without a tar-split, and with its digest beside it", () => {
    const { [tarSplitPosition]: _, ...without } = good;
    expect(parseChunkedAnnotations(without, size)).toMatchObject({ tarSplit: undefined });
    expect(parse({ [tarSplitDigest]: `sha256:${DIGEST}` })).toMatchObject({
      tarSplitSha256: DIGEST,
    });
  });

  test.each<[string, Record<string, string>]>([
    ["a digest of another kind", { [tocDigest]: `sha512:${DIGEST}${DIGEST}` }],
    ["a digest in upper case", { [tocDigest]: `sha256:${DIGEST.toUpperCase()}` }],
    ["too few numbers", { [tocPosition]: "100:20:30" }],
    ["too many numbers", { [tocPosition]: "100:20:30:1:1" }],
    ["a negative number", { [tocPosition]: "-100:20:30:1" }],
    ["a number over 2^53", { [tocPosition]: "9999999999999999:20:30:1" }],
    ["no number", { [tocPosition]: "1e3:20:30:1" }],
    ["another type", { [tocPosition]: "100:20:30:2" }],
    ["a TOC outside of the blob", { [tocPosition]: `${size - 5}:20:30:1` }],
    ["a TOC at the start", { [tocPosition]: "0:20:30:1" }],
    ["a TOC without bytes", { [tocPosition]: "100:0:30:1" }],
    ["a TOC that is a bomb", { [tocPosition]: `100:20:${2 ** 40}:1` }],
    ["a tar-split outside of the blob", { [tarSplitPosition]: `${size}:1:1` }],
    ["a tar-split in front of the TOC", { [tarSplitPosition]: "100:1:1" }],
    ["a tar-split that is a bomb", { [tarSplitPosition]: `${size - 5}:1:${2 ** 50}` }],
    ["a digest of the tar-split that is none", { [tarSplitDigest]: "" }],
  ])("are refused with %s", (_, changes) => {
    expect(outcome(() => parse(changes))).toBe("corrupt-chunked");
  });

  test("are refused without a position", () => {
    expect(outcome(() => parseChunkedAnnotations({ [tocDigest]: `sha256:${DIGEST}` }, size))).toBe(
      "corrupt-chunked",
    );
  });
});
