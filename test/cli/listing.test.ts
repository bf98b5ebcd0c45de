import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/bytes/byte-string.ts";
import { parseDump } from "#src/core/dump/mod.ts";
import {
  formatListing,
  formatMode,
  formatTime,
  jsonEntry,
  listEntries,
  splitDevice,
} from "#src/cli/output/listing.ts";
import { SAMPLE_DUMP } from "./programs.ts";

test.each([
  ["file", 0o644, "-rw-r--r--"],
  ["directory", 0o1777, "drwxrwxrwt"],
  ["file", 0o6711, "-rws--s--x"],
  ["chardev", 0o7000, "c--S--S--T"],
  ["symlink", 0o777, "lrwxrwxrwx"],
  ["socket", 0, "s---------"],
  ["fifo", 0o421, "pr---w---x"],
  ["blockdev", 0o660, "brw-rw----"],
] as const)("formatMode: %s %o is %s", (kind, mode, text) => {
  expect(formatMode(kind, mode)).toBe(text);
});

test.each([
  [0n, "1970-01-01 00:00"],
  [-1n, "1969-12-31 23:59"],
  [1763715840n, "2025-11-21 09:04"],
  [253402300799n, "9999-12-31 23:59"],
  [253402300800n, "@253402300800"],
  [-62167219201n, "@-62167219201"],
  [2n ** 63n - 1n, "@9223372036854775807"],
])("formatTime: %d is %s", (sec, text) => {
  expect(formatTime({ sec, nsec: 999_999_999 })).toBe(text);
});

test.each([
  [0, 0, 0],
  [259, 1, 3],
  [0x12345678, 0x456, 0x12378],
  [0xffffffff, 0xfff, 0xfffff],
])("splitDevice: %d is %d:%d", (rdev, major, minor) => {
  expect(splitDevice(rdev)).toEqual({ major, minor });
});

describe("a listing", () => {
  const root = parseDump(Buffer.from(SAMPLE_DUMP));

  test("formatListing: lines its columns up and tells where entries lead", () => {
    expect([...formatListing(listEntries(root))].join("\n")).toMatchInlineSnapshot(`
      "drwxr-xr-x 1    0    0     0 2023-11-14 22:13 /
      drwx------ 1 1000 1000     0 2023-11-14 22:13 /dir
      -rw-r--r-- 1 1000 1000  5000 2023-11-14 22:14 /dir/big @ 52/d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408
      -rwsr-xr-x 2    0    0     3 1969-12-31 23:59 /dir/inline file
      prw-r--r-- 1    0    0     0 1970-01-01 00:00 /fifo
      lrwxrwxrwx 1    0    0     3 1970-01-01 00:00 /link -> a\\xffb
      -rwsr-xr-x 2    0    0     3 1969-12-31 23:59 /more = /dir/inline file
      crw-rw-rw- 1    0    0   1,3 1970-01-01 00:00 /null
      -rw------- 1    0    0 70000 1970-01-01 00:00 /sparse
      -rw-r--r-- 1    0    0  5000 1970-01-01 00:00 /twice @ 52/d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408"
    `);
  });

  test("formatListing: shows hostile names as text", () => {
    const dump =
      "/ 0 40755 2 0 0 0 0.0 - - -\n/\\x1b[2J\\n\\xff\\xc3\\xa9 0 100644 1 0 0 0 0.0 - - -\n";
    const [, line] = formatListing(listEntries(parseDump(Buffer.from(dump))));
    expect(line).toMatch(/ \/\\x1b\[2J\\x0a\\xffé$/);
  });

  test.each([
    ["/dir", ["/dir", "/dir/big", "/dir/inline file"]],
    ["dir//big/", ["/dir/big"]],
    ["/di", []],
    ["/", undefined],
  ])("listEntries: below %s", (below, paths) => {
    const found = [...listEntries(root, byteString(below))].map((entry) => entry.path);
    expect(found).toEqual(paths ?? [...listEntries(root)].map((entry) => entry.path));
  });

  test("jsonEntry: has the keys that the man page promises", () => {
    const entries = [...listEntries(root)].map(jsonEntry);
    expect(entries.find((entry) => entry["path"] === "/dir")).toEqual({
      path: "/dir",
      type: "directory",
      mode: 0o700,
      nlink: 1,
      uid: 1000,
      gid: 1000,
      size: 0,
      mtime: { sec: "1700000000", nsec: 5 },
      xattrs: { "user.a": "b\\x00c" },
    });
    const digest = "52d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408";
    expect(entries.find((entry) => entry["path"] === "/dir/big")).toMatchObject({
      size: 5000,
      content: "external",
      object: `52/${digest.slice(2)}`,
      digest,
    });
    expect(entries.find((entry) => entry["path"] === "/more")).toMatchObject({
      linkOf: "/dir/inline file",
      content: "inline",
    });
    expect(entries.find((entry) => entry["path"] === "/link")).toMatchObject({ target: "a\\xffb" });
    expect(entries.find((entry) => entry["path"] === "/null")).toMatchObject({ rdev: "1:3" });
  });
});
