/** Xattrs in PAX records. */

import { describe, expect, test } from "vitest";

import { archive, header, pax } from "../../support/tar-bytes.ts";

import { only, readError, xattrsOf } from "./read-archive.ts";

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
