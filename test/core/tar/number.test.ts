/** Numbers of tar headers: octal, base-256, and what is none. */

import { describe, expect, test } from "vitest";

import { archive, header } from "../../support/tar-bytes.ts";

import { base256, only, readError } from "./read-archive.ts";

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
