/** What a tar archive is read as: headers, long names, the end, limits, chunks of any size. */

import { Buffer } from "node:buffer";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ComposefsError, TarReader } from "#src/core/mod.ts";
import type { TarReaderOptions } from "#src/core/mod.ts";
import { archive, header, member, padded, pax, readArchive } from "../../support/tar-bytes.ts";
import type { HeaderFields } from "../../support/tar-bytes.ts";

import { only, readError } from "./read-archive.ts";

describe("TarReader: header blocks", () => {
  test("reads every field of a ustar header", () => {
    const fields: HeaderFields = {
      name: "name",
      prefix: "pre/fix",
      mode: 0o104755,
      uid: 1000,
      gid: 0o7777777,
      mtime: 1_234_567_890,
      uname: "user",
      gname: "group",
    };
    expect(only(archive(member(fields, "hello")))).toMatchObject({
      kind: "file",
      path: "pre/fix/name",
      linkPath: "",
      mode: 0o4755,
      uid: 1000,
      gid: 0o7777777,
      mtime: { sec: 1_234_567_890n, nsec: 0 },
      size: 5,
      storedSize: 5,
      segments: undefined,
      uname: "user",
      gname: "group",
      xattrs: new Map(),
      content: Buffer.from("hello"),
    });
  });

  test.each([
    ["0", "file"],
    ["\0", "file"],
    ["7", "file"],
    ["1", "hardlink"],
    ["2", "symlink"],
    ["3", "chardev"],
    ["4", "blockdev"],
    ["5", "directory"],
    ["6", "fifo"],
  ])("takes type %j for a %s", (typeflag, kind) => {
    const bytes = archive(header({ typeflag, linkname: "there", devmajor: 8, devminor: 17 }));
    const isDevice = kind.endsWith("dev");
    expect(only(bytes)).toMatchObject({
      kind,
      linkPath: kind.endsWith("link") ? "there" : "",
      major: isDevice ? 8 : 0,
      minor: isDevice ? 17 : 0,
    });
  });

  test("takes a V7 file whose name ends in a slash for a directory, and only that", () => {
    expect(only(archive(header({ typeflag: "\0", name: "d/", magic: "" }))).kind).toBe("directory");
    expect(only(archive(header({ typeflag: "0", name: "d/" }))).kind).toBe("file");
  });

  test("reads no prefix, owner names or devices from a V7 header", () => {
    const junk = { magic: "", prefix: "junk", uname: "junk", devmajor: "zz", typeflag: "3" };
    expect(only(archive(header(junk)))).toMatchObject({ path: "file", uname: "", major: 0 });
  });

  test("reads no prefix from a GNU header", () => {
    expect(only(archive(header({ magic: "ustar  \0", prefix: "0123" }))).path).toBe("file");
  });

  test("reads names that fill their fields", () => {
    const bytes = archive(header({ name: "n".repeat(100), prefix: "p".repeat(155) }));
    expect(only(bytes).path).toBe(`${"p".repeat(155)}/${"n".repeat(100)}`);
  });

  test("keeps names that are not UTF-8", () => {
    expect(only(archive(header({ name: "a\xff\xfe\x80" }))).path).toBe("a\xff\xfe\x80");
  });

  test("accepts a checksum of signed bytes", () => {
    const name = "\xff\xfe";
    const sum = [...header({ name, chksum: "        " })].reduce(
      (a, b) => a + (b > 127 ? b - 256 : b),
      0,
    );
    const chksum = `${sum.toString(8).padStart(6, "0")}\0 `;
    expect(only(archive(header({ name, chksum }))).path).toBe(name);
  });

  test("refuses a wrong checksum and says where", () => {
    const error = readError(archive(member({}, "x"), header({ chksum: "000000\0 " })));
    expect(error).toMatchObject({
      code: "corrupt-tar",
      offset: 1024,
      message: "Cannot read tar archive at offset 1024: header checksum is wrong",
    });
  });

  test.each(["D", "M", "N", "V", "A", "\xff"])("refuses type %j as unsupported", (typeflag) => {
    expect(readError(archive(header({ typeflag }))).code).toBe("unsupported-tar");
  });

  test.each(["1", "2", "3", "4", "5", "6"])("refuses content behind type %j", (typeflag) => {
    const bytes = archive(member({ typeflag, linkname: "x" }, "content"));
    expect(readError(bytes).code).toBe("corrupt-tar");
  });

  test("refuses an empty name and a link without a target", () => {
    expect(readError(archive(header({ name: "" }))).code).toBe("corrupt-tar");
    expect(readError(archive(header({ typeflag: "2" }))).code).toBe("corrupt-tar");
  });
});

describe("TarReader: GNU long names", () => {
  test("takes names and targets of any length and bytes, with or without a NUL behind", () => {
    const name = `${"\xff".repeat(1000)}/x`;
    const target = "t".repeat(512);
    const bytes = archive(
      member({ name: "././@LongLink", typeflag: "K" }, `${target}\0`),
      member({ name: "././@LongLink", typeflag: "L" }, name),
      header({ typeflag: "2", name: "cut", linkname: "cut" }),
    );
    expect(only(bytes)).toMatchObject({ path: name, linkPath: target });
  });

  test("counts for one entry only, and less than a PAX record", () => {
    const bytes = archive(
      member({ typeflag: "L" }, "long"),
      header(),
      member({ typeflag: "L" }, "long"),
      pax([["path", "pax"]]),
      header(),
      header(),
    );
    expect(readArchive(bytes).entries.map(({ path }) => path)).toEqual(["long", "pax", "file"]);
  });

  test("refuses two long names for one entry", () => {
    const long = member({ typeflag: "L" }, "long");
    expect(readError(archive(long, long, header())).message).toContain("two long names");
  });
});

describe("TarReader: the end of the archive", () => {
  const file = member({}, "content");

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["no blocks of zeros", file],
    ["no padding behind the last content", file.subarray(0, 512 + 7)],
    ["a part of that padding", file.subarray(0, 600)],
    ["one block of zeros", Buffer.concat([file, Buffer.alloc(512)])],
    ["two blocks of zeros", archive(file)],
    ["GNU record padding", Buffer.concat([archive(file), Buffer.alloc(10240 - 2048)])],
    ["something else behind the end", Buffer.concat([archive(file), Buffer.from("trailing")])],
  ])("accepts %s and gives it back", (_, bytes) => {
    expect(readArchive(bytes).replay.equals(bytes)).toBe(true);
    expect(readArchive(bytes, {}, 100).replay.equals(bytes)).toBe(true);
  });

  test("refuses headers behind one block of zeros", () => {
    const bytes = Buffer.concat([file, Buffer.alloc(512), archive(file)]);
    expect(readError(bytes).message).toContain("one block of zeros");
  });

  test.each([
    ["a header", 100],
    ["content", 515],
  ])("refuses an archive that ends inside %s", (_, length) => {
    expect(readError(file.subarray(0, length))).toMatchObject({ code: "corrupt-tar", offset: 0 });
  });
});

describe("TarReader: limits", () => {
  const long = pax([["path", "p".repeat(300)]]);

  test.each<[string, TarReaderOptions["limits"], Buffer]>([
    ["entries", { entries: 2 }, archive(header(), header(), header())],
    ["length of a path", { pathLength: 299 }, archive(long, header())],
    [
      "length of a link target",
      { pathLength: 4 },
      archive(header({ typeflag: "2", linkname: "12345" })),
    ],
    ["size of an extension", { extensionSize: 100 }, archive(long, header())],
    [
      "size of xattrs",
      { xattrSize: 10 },
      archive(pax([["SCHILY.xattr.user.a", "12345"]]), header()),
    ],
    ["xattr name", {}, archive(pax([[`SCHILY.xattr.${"n".repeat(256)}`, ""]]), header())],
    [
      "pieces of a sparse file",
      { sparseSegments: 1 },
      archive(pax([["GNU.sparse.map", "0,1,2,1"]]), member({}, "ab")),
    ],
    ["bytes that are not content", { rawSize: 1535 }, archive(header())],
    [
      "global records",
      { extensionSize: 40 },
      archive(pax([["a", "x".repeat(30)]], "g"), pax([["b", "x".repeat(30)]], "g")),
    ],
  ])("%s", (_, limits, bytes) => {
    const error = readError(bytes, { limits: limits! });
    expect(error.code).toBe("tar-limit");
    expect(error.hint).toBeDefined();
  });

  test("spends no memory on what is only claimed", () => {
    const before = process.memoryUsage().arrayBuffers;
    const bytes = archive(header({ typeflag: "L", size: 0o77777777777 }));
    expect(readError(bytes).code).toBe("tar-limit");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  });
});

describe("TarReader: pushing", () => {
  const sample = archive(
    pax([["uid", "7"]], "g"),
    pax([
      ["path", "x".repeat(600)],
      ["SCHILY.xattr.user.a", "\0\xff"],
    ]),
    member({}, "a".repeat(700)),
    header({ typeflag: "5", name: "d/" }),
    member({ typeflag: "L" }, "long".repeat(200)),
    member({ typeflag: "0" }, "b".repeat(512)),
    pax([
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.realsize", "900"],
    ]),
    member({ name: "sparse" }, Buffer.concat([padded("1\n100\n5\n"), Buffer.from("12345")])),
  );

  test("gives the same for chunks of any size", () => {
    const whole = readArchive(sample);
    expect(whole.entries).toHaveLength(4);
    for (const chunkSize of [1, 7, 511, 512, 513, 1024, 4096]) {
      const pieces = readArchive(sample, {}, chunkSize);
      expect(pieces.entries).toEqual(whole.entries);
      expect(pieces.replay.equals(sample)).toBe(true);
    }
  });

  test("skips content that is pushed elsewhere", () => {
    const reader = new TarReader();
    const kinds: string[] = [];
    const withoutContent = archive(
      header({ size: 700, name: "a" }),
      Buffer.alloc(324),
      header({ name: "b" }),
    );
    for (const event of [
      ...(function* () {
        for (const each of reader.push(withoutContent)) {
          if (each.kind === "entry" && each.entry.path === "a") reader.skipContent();
          yield each;
        }
        yield* reader.finish();
      })(),
    ]) {
      kinds.push(event.kind === "entry" ? event.entry.path : event.kind);
    }
    expect(kinds).toEqual([
      "raw",
      "a",
      "end-of-entry",
      "raw",
      "raw",
      "b",
      "end-of-entry",
      "raw",
      "raw",
    ]);
    expect(() => reader.skipContent()).toThrow(TypeError);
  });

  test("counts skipped content into the offset of what is wrong behind it", () => {
    const reader = new TarReader();
    const bytes = Buffer.concat([
      header({ size: 700 }),
      Buffer.alloc(324),
      header({ chksum: "0" }),
    ]);
    const readAll = (): void => {
      for (const event of reader.push(bytes)) if (event.kind === "entry") reader.skipContent();
    };
    expect(readAll).toThrow(expect.objectContaining({ offset: 512 + 1024 }));
  });

  test("refuses a chunk before the events of the last one were taken", () => {
    const reader = new TarReader();
    const events = reader.push(sample);
    events.next();
    expect(() => reader.push(sample).next()).toThrow(TypeError);
  });

  test("answers every truncation with a result or its own error", () => {
    const whole = readArchive(sample).entries;
    for (let length = 0; length < sample.length; length++) {
      try {
        const { entries, replay } = readArchive(sample.subarray(0, length), {}, 4096);
        // Between entries, or in the padding or the zeros behind one, but not inside anything.
        expect(entries).toEqual(whole.slice(0, entries.length));
        expect(replay.length).toBe(length);
      } catch (error) {
        expect(error).toBeInstanceOf(ComposefsError);
      }
    }
  });

  test("answers every flipped bit with a result or its own error", () => {
    for (let bit = 0; bit < 8 * sample.length; bit += 13) {
      const bytes = Buffer.from(sample);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      try {
        expect(readArchive(bytes, {}, 4096).replay.equals(bytes)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(ComposefsError);
      }
    }
  });

  test("answers changed bytes under a right checksum with a result or its own error", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: sample.length - 1 }), fc.nat({ max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        (changes) => {
          const bytes = Buffer.from(sample);
          for (const [at, value] of changes) bytes[at] = value;
          repairChecksums(bytes);
          try {
            expect(
              readArchive(bytes, { limits: { sparseSegments: 1000 } }).replay.equals(bytes),
            ).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(ComposefsError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

/** Gives every block that looks like a header the checksum that it should have. */
function repairChecksums(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (block.toString("latin1", 257, 262) !== "ustar") continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((a, b) => a + b, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
}
