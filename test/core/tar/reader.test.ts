import { Buffer } from "node:buffer";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ComposefsError, TarError, TarReader } from "#src/core/mod.ts";
import type { TarReaderOptions } from "#src/core/mod.ts";
import {
  archive,
  header,
  member,
  padded,
  pax,
  paxRecord,
  readArchive,
} from "../../support/tar-bytes.ts";
import type { HeaderFields, ReadEntry } from "../../support/tar-bytes.ts";

function only(bytes: Uint8Array, options: TarReaderOptions = {}): ReadEntry {
  const { entries, replay } = readArchive(bytes, options);
  expect(replay.equals(bytes)).toBe(true);
  expect(entries).toHaveLength(1);
  return entries[0]!;
}

function readError(bytes: Uint8Array, options: TarReaderOptions = {}): TarError {
  try {
    readArchive(bytes, options);
  } catch (error) {
    expect(error).toBeInstanceOf(TarError);
    return error as TarError;
  }
  throw new Error("the archive was read without an error");
}

/** A number in base-256, as `length` bytes. */
function base256(value: bigint, length: number): string {
  let out = "";
  for (let i = 0; i < length; i++) {
    out = String.fromCharCode(Number((value >> BigInt(8 * i)) & 0xffn)) + out;
  }
  return String.fromCharCode(out.charCodeAt(0) | 0x80) + out.slice(1);
}

const xattrsOf = (entry: ReadEntry): Record<string, string> =>
  Object.fromEntries(
    [...entry.xattrs].map(([key, value]) => [key, Buffer.from(value).toString("latin1")]),
  );

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

describe("TarReader: numbers", () => {
  test.each<[string, number]>([
    ["0000017\0", 15],
    ["     17 ", 15],
    ["17\0\0\0\0\0\0", 15],
    ["\0\0\0\0\0\x0017", 15],
    ["17777777", 0o17777777],
    ["17\0junk!", 15],
    ["", 0],
    ["        ", 0],
    [base256(0n, 8), 0],
    [base256(4_294_967_290n, 8), 4_294_967_290],
  ])("reads uid %j as %i", (uid, value) => {
    expect(only(archive(header({ uid }))).uid).toBe(value);
  });

  test.each([
    "-1",
    "8",
    "1x",
    "0x10",
    base256(-1n, 8),
    base256(2n ** 32n, 8),
    base256(2n ** 54n, 8),
  ])("refuses uid %j", (uid) => {
    expect(readError(archive(header({ uid }))).code).toBe("corrupt-tar");
  });

  test.each([
    -1n,
    -5n,
    -256n,
    -(2n ** 40n),
    -(2n ** 53n) + 1n,
    2n ** 33n,
    2n ** 40n,
    2n ** 53n - 1n,
  ])("reads a base-256 time of %i seconds", (mtime) => {
    expect(only(archive(header({ mtime: base256(mtime, 12) }))).mtime).toEqual({
      sec: mtime,
      nsec: 0,
    });
  });

  test("refuses a negative size, and one that no double holds", () => {
    expect(readError(archive(header({ size: base256(-512n, 12) }))).code).toBe("corrupt-tar");
    expect(readError(archive(header({ size: base256(2n ** 62n, 12) }))).code).toBe("corrupt-tar");
  });
});

describe("TarReader: PAX", () => {
  test("takes every record over the header", () => {
    const records = [
      ["path", "dir/\xff\n=name"],
      ["uid", "4294967295"],
      ["gid", "3000000000"],
      ["uname", "caf\xc3\xa9"],
      ["gname", "g"],
      ["mtime", "1234567890.123456789"],
      ["size", "5"],
      ["comment", "whatever"],
      ["atime", "nonsense is not looked at"],
    ] as const;
    const bytes = archive(
      pax(records),
      header({ name: "short", uid: 1, size: 0 }),
      padded("12345"),
    );
    expect(only(bytes)).toMatchObject({
      path: "dir/\xff\n=name",
      uid: 4_294_967_295,
      gid: 3_000_000_000,
      uname: "caf\xc3\xa9",
      gname: "g",
      mtime: { sec: 1_234_567_890n, nsec: 123_456_789 },
      content: Buffer.from("12345"),
    });
  });

  test("takes a link target of any length", () => {
    const target = "t".repeat(4000);
    expect(only(archive(pax([["linkpath", target]]), header({ typeflag: "2" }))).linkPath).toBe(
      target,
    );
  });

  test.each<[string, bigint, number]>([
    ["0", 0n, 0],
    ["5.", 5n, 0],
    [".5", 0n, 500_000_000],
    ["1.000000001", 1n, 1],
    ["1.0000000019", 1n, 1],
    ["-5", -5n, 0],
    ["-5.25", -6n, 750_000_000],
    ["-0.000000001", -1n, 999_999_999],
    ["-0.0000000001", -1n, 999_999_999],
    ["9223372036854775807", 2n ** 63n - 1n, 0],
    ["-9223372036854775808", -(2n ** 63n), 0],
  ])("reads mtime %s", (text, sec, nsec) => {
    expect(only(archive(pax([["mtime", text]]), header())).mtime).toEqual({ sec, nsec });
  });

  test.each(["x", ".", "-", "1e5", "+1", " 1", "1.5.5", "9223372036854775808", "9".repeat(65)])(
    "refuses mtime %j",
    (text) => {
      expect(readError(archive(pax([["mtime", text]]), header())).code).toBe("corrupt-tar");
    },
  );

  test.each(["-1", "1.5", "0x10", "", "9007199254740992"].filter((text) => text !== ""))(
    "refuses size %j",
    (text) => {
      expect(readError(archive(pax([["size", text]]), header())).code).toBe("corrupt-tar");
    },
  );

  test("falls back to the header for an empty value", () => {
    const bytes = archive(
      pax([["uid", "7"]], "g"),
      pax([
        ["uid", ""],
        ["path", ""],
      ]),
      header({ uid: 3 }),
    );
    expect(only(bytes)).toMatchObject({ uid: 3, path: "file" });
  });

  test("applies records for the whole archive until they are taken back", () => {
    const bytes = archive(
      pax(
        [
          ["uid", "7"],
          ["mtime", "1.5"],
        ],
        "g",
      ),
      header({ name: "a" }),
      pax([["uid", "8"]]),
      header({ name: "b" }),
      pax([["uid", "9"]], "g"),
      header({ name: "c" }),
    );
    const { entries, replay } = readArchive(bytes);
    expect(entries.map(({ path, uid, mtime }) => [path, uid, mtime.nsec])).toEqual([
      ["a", 7, 500_000_000],
      ["b", 8, 500_000_000],
      ["c", 9, 500_000_000],
    ]);
    expect(replay.equals(bytes)).toBe(true);
  });

  test("ignores records for the whole archive when told to", () => {
    const bytes = archive(
      pax(
        [
          ["uid", "7"],
          ["size", "3"],
        ],
        "g",
      ),
      header(),
    );
    expect(only(bytes, { globalRecords: "ignore" }).uid).toBe(0);
  });

  test.each(["path", "linkpath", "size", "GNU.sparse.size"])(
    "refuses %s for the whole archive",
    (key) => {
      expect(readError(archive(pax([[key, "3"]], "g"), header())).code).toBe("corrupt-tar");
    },
  );

  test.each([
    ["a length of 0", "0 a=b\n"],
    ["a length beyond the end", "7 a=b\n"],
    ["a length inside the record", "5 a=b\n"],
    ["no length", "a=b\n"],
    ["no space", "6a=bb\n"],
    ["no equals sign", "6 abc\n"],
    ["an empty key", "5 =b\n"],
    ["no newline", "6 a=bc"],
    ["an endless length", `${"9".repeat(400)} a=b\n`],
    ["NUL bytes behind the records", `${paxRecord(["a", "b"])}\0\0`],
  ])("refuses a record with %s", (_, text) => {
    expect(readError(archive(member({ typeflag: "x" }, text), header())).code).toBe("corrupt-tar");
  });

  test("refuses a NUL byte in a name", () => {
    expect(readError(archive(pax([["path", "a\0b"]]), header())).code).toBe("corrupt-tar");
  });

  test("refuses two PAX headers for one entry, and one for none", () => {
    const one = pax([["uid", "1"]]);
    expect(readError(archive(one, one, header())).message).toContain("two PAX headers");
    expect(readError(archive(one)).message).toContain("without an entry");
    expect(readError(one).message).toContain("without an entry");
  });
});

describe("TarReader: xattrs", () => {
  test("keeps SCHILY values byte for byte, in byte order of the names", () => {
    const value = "\x00\xff\x80\n=\xc3(";
    const bytes = archive(
      pax([
        ["SCHILY.xattr.user.z", value],
        ["SCHILY.xattr.security.capability", ""],
      ]),
      header(),
    );
    expect(xattrsOf(only(bytes))).toEqual({ "security.capability": "", "user.z": value });
    expect([...only(bytes).xattrs.keys()]).toEqual(["security.capability", "user.z"]);
  });

  test.each([
    ["AAECAw==", "\x00\x01\x02\x03"],
    ["AAECAw", "\x00\x01\x02\x03"],
    ["/+8", "\xff\xef"],
    ["YWJj", "abc"],
    ["", ""],
  ])("decodes the LIBARCHIVE value %j", (text, value) => {
    const bytes = archive(pax([["LIBARCHIVE.xattr.user.a%3Db%zz%25", text]]), header());
    expect(xattrsOf(only(bytes))).toEqual({ "user.a=b%zz%": value });
  });

  test("takes SCHILY over LIBARCHIVE whatever the order", () => {
    const both = [
      ["SCHILY.xattr.user.a", "s"],
      ["LIBARCHIVE.xattr.user.a", "bA"],
    ] as const;
    for (const records of [both, both.toReversed()]) {
      expect(xattrsOf(only(archive(pax(records), header())))).toEqual({ "user.a": "s" });
    }
  });

  test.each(["A", "AAAAA", "A*==", "AA=A"])("refuses the base64 %j", (text) => {
    const bytes = archive(pax([["LIBARCHIVE.xattr.user.a", text]]), header());
    expect(readError(bytes).code).toBe("corrupt-tar");
  });

  test("refuses an xattr without a name", () => {
    expect(readError(archive(pax([["SCHILY.xattr.", "v"]]), header())).code).toBe("corrupt-tar");
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

describe("TarReader: sparse files", () => {
  const pieces = Buffer.from("aaaaabbb");
  const whole = Buffer.concat([
    Buffer.alloc(1000),
    Buffer.from("aaaaa"),
    Buffer.alloc(995),
    Buffer.from("bbb"),
    Buffer.alloc(97),
  ]);
  const expected = {
    kind: "file",
    size: 2100,
    storedSize: 8,
    segments: [
      { offset: 1000, size: 5 },
      { offset: 2000, size: 3 },
    ],
    content: whole,
  };
  const number = (value: number): string => value.toString(8).padStart(11, "0");
  const pair = (offset: number, size: number): string => `${number(offset)}\0${number(size)}\0`;
  const oldTail = (pairs: string, goesOn: boolean, size: number): Buffer => {
    const tail = Buffer.alloc(155);
    tail.write(pairs, 386 - 345, "latin1");
    tail[482 - 345] = goesOn ? 1 : 0;
    tail.write(number(size), 483 - 345, "latin1");
    return tail;
  };

  test("reads the old GNU header", () => {
    const tail = oldTail(pair(1000, 5) + pair(2000, 3) + pair(2100, 0), false, 2100);
    const bytes = archive(member({ typeflag: "S", magic: "ustar  \0", tail }, pieces));
    expect(only(bytes)).toMatchObject(expected);
  });

  test("reads the old GNU header with further blocks of the map", () => {
    const all = Array.from({ length: 4 + 21 + 2 }, (_, i) => pair(10 * i, 1));
    const tail = oldTail(all.slice(0, 4).join(""), true, 1000);
    const more = Buffer.alloc(1024);
    more.write(all.slice(4, 25).join(""), 0, "latin1");
    more[504] = 1;
    more.write(all.slice(25).join(""), 512, "latin1");
    const head = header({ typeflag: "S", magic: "ustar  \0", tail, size: 27 });
    const entry = only(archive(head, more, padded("x".repeat(27))));
    expect(entry.segments).toHaveLength(27);
    expect(entry.content.toString("latin1", 0, 30)).toBe("x\0\0\0\0\0\0\0\0\0".repeat(3));
  });

  test("reads PAX 0.0, where keys repeat", () => {
    const records = [
      ["GNU.sparse.size", "2100"],
      ["GNU.sparse.numblocks", "2"],
      ["GNU.sparse.offset", "1000"],
      ["GNU.sparse.numbytes", "5"],
      ["GNU.sparse.offset", "2000"],
      ["GNU.sparse.numbytes", "3"],
    ] as const;
    expect(only(archive(pax(records), member({}, pieces)))).toMatchObject(expected);
  });

  test("reads PAX 0.1, with the name in a record", () => {
    const records = [
      ["GNU.sparse.size", "2100"],
      ["GNU.sparse.numblocks", "2"],
      ["GNU.sparse.name", "real"],
      ["path", "GNUSparseFile.1/fake"],
      ["GNU.sparse.map", "1000,5,2000,3"],
    ] as const;
    const entry = only(archive(pax(records), member({}, pieces)));
    expect(entry).toMatchObject({ ...expected, path: "real" });
  });

  const version10 = [
    ["GNU.sparse.major", "1"],
    ["GNU.sparse.minor", "0"],
    ["GNU.sparse.name", "real"],
    ["GNU.sparse.realsize", "2100"],
  ] as const;

  test("reads PAX 1.0, with the map in front of the content", () => {
    const content = Buffer.concat([padded("2\n1000\n5\n2000\n3\n"), pieces]);
    const entry = only(archive(pax(version10), member({}, content)));
    expect(entry).toMatchObject({ ...expected, path: "real" });
  });

  test("reads a PAX 1.0 map of many blocks", () => {
    const map = Array.from({ length: 300 }, (_, i) => `${7 * i}\n1\n`).join("");
    const content = Buffer.concat([padded(`300\n${map}`), Buffer.alloc(300, 1)]);
    const entry = only(archive(pax(version10), member({}, content)));
    expect(entry.content.filter((byte) => byte === 1)).toHaveLength(300);
  });

  test("reads a file that is one hole", () => {
    const entry = only(archive(pax(version10), member({}, padded("0\n"))));
    expect(entry).toMatchObject({
      size: 2100,
      storedSize: 0,
      segments: [],
      content: Buffer.alloc(2100),
    });
  });

  test.each([
    ["out of order", "2000,3,1000,5"],
    ["overlapping", "1000,5,1004,3"],
    ["leaving the file", "1000,5,2098,3"],
    ["of another length than the content", "1000,5"],
    ["with an offset alone", "1000,5,2000"],
    ["with something else", "1000,5,2000,x"],
    ["with a number no double holds", "1000,5,99999999999999999999,3"],
  ])("refuses a map %s", (_, map) => {
    const records = [
      ["GNU.sparse.size", "2100"],
      ["GNU.sparse.map", map],
    ] as const;
    expect(readError(archive(pax(records), member({}, pieces))).code).toBe("corrupt-tar");
  });

  test.each(["x\n", "1\n1000\n", "\n", "99999999999999999999\n", `${"1".repeat(600)}\n`])(
    "refuses the PAX 1.0 map %j",
    (map) => {
      expect(readError(archive(pax(version10), member({}, padded(map)))).code).toBe("corrupt-tar");
    },
  );

  test("refuses a format that is not known", () => {
    const records = [
      ["GNU.sparse.major", "2"],
      ["GNU.sparse.minor", "0"],
    ] as const;
    expect(readError(archive(pax(records), member({}, pieces))).code).toBe("unsupported-tar");
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
