/** Sparse files, in every dialect. */

import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";

import { archive, header, member, padded, pax } from "../../support/tar-bytes.ts";

import { only, readError } from "./read-archive.ts";

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
