/** PAX records: of an entry, and of the whole archive. */

import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";

import {
  archive,
  header,
  member,
  padded,
  pax,
  paxRecord,
  readArchive,
} from "../../support/tar-bytes.ts";

import { only, readError } from "./read-archive.ts";

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
