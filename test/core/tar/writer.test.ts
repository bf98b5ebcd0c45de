import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TAR_END, byteString, byteStringFrom, encodeTarHeader, tarPadding } from "#src/core/mod.ts";
import type { ByteString, TarEntryKind, TarHeaderInput } from "#src/core/mod.ts";
import { needsThat } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { readArchive } from "../../support/tar-bytes.ts";

const hasGnuTar = String(spawnSync("tar", ["--version"]).stdout).includes("GNU tar");
const gnuTar = needsThat(hasGnuTar ? undefined : "needs GNU tar");

const PLAIN: TarHeaderInput = {
  kind: "file",
  path: byteString("file"),
  linkPath: byteString(""),
  mode: 0o644,
  uid: 0,
  gid: 0,
  uname: byteString(""),
  gname: byteString(""),
  mtime: { sec: 0n, nsec: 0 },
  size: 0,
  major: 0,
  minor: 0,
  xattrs: new Map(),
};

const name = (min: number, max: number): fc.Arbitrary<ByteString> =>
  fc
    .uint8Array({ minLength: min, maxLength: max })
    .map((bytes) => byteStringFrom(bytes.map((byte) => (byte === 0 ? 0x2f : byte))));

const uint32 = fc.oneof(fc.nat({ max: 0xffffffff }), fc.constantFrom(0, 2_097_151, 2_097_152));

const entry: fc.Arbitrary<TarHeaderInput> = fc
  .record({
    kind: fc.constantFrom<TarEntryKind>(
      "file",
      "hardlink",
      "symlink",
      "chardev",
      "blockdev",
      "directory",
      "fifo",
    ),
    path: fc.oneof(name(1, 20), name(90, 280)),
    linkPath: fc.oneof(name(1, 20), name(90, 280)),
    mode: fc.nat({ max: 0o7777 }),
    uid: uint32,
    gid: uint32,
    uname: name(0, 40).map((text) => text.replaceAll("\0", "x") as ByteString),
    gname: name(0, 8),
    mtime: fc.record({
      sec: fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-5n, 2n ** 33n)),
      nsec: fc.oneof(fc.constant(0), fc.nat({ max: 999_999_999 })),
    }),
    size: fc.nat({ max: 3000 }),
    major: fc.nat({ max: 4095 }),
    minor: fc.nat({ max: 0xfffff }),
    xattrs: fc
      .array(fc.tuple(name(1, 30), fc.uint8Array({ maxLength: 30 })), { maxLength: 3 })
      .map((pairs) => new Map(pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1)))),
  })
  .map((one) =>
    Object.assign(one, {
      size: one.kind === "file" ? one.size : 0,
      linkPath: one.kind.endsWith("link") ? one.linkPath : byteString(""),
      major: one.kind.endsWith("dev") ? one.major : 0,
      minor: one.kind.endsWith("dev") ? one.minor : 0,
    }),
  );

function archiveOf(one: TarHeaderInput): Buffer {
  const content = Buffer.alloc(one.size, 0x61);
  const parts = [encodeTarHeader(one), content, Buffer.alloc(tarPadding(one.size)), TAR_END];
  return Buffer.concat(parts);
}

describe("encodeTarHeader", () => {
  test("writes plain ustar where that is enough", () => {
    const block = encodeTarHeader({
      ...PLAIN,
      path: byteString(`${"p".repeat(155)}/${"n".repeat(100)}`),
    });
    expect(block).toHaveLength(512);
    expect(Buffer.from(block).toString("latin1", 257, 265)).toBe("ustar\x0000");
  });

  test("is read back as it was, whatever it holds", () => {
    fc.assert(
      fc.property(entry, (one) => {
        const { entries } = readArchive(archiveOf(one));
        expect(entries).toHaveLength(1);
        expect(entries[0]).toMatchObject({ ...one, xattrs: new Map(one.xattrs) });
      }),
      { numRuns: 500 },
    );
  });

  test("counts the digits of a record's length into the length", () => {
    for (let length = 80; length < 120; length++) {
      const path = byteString("n".repeat(length));
      expect(readArchive(archiveOf({ ...PLAIN, path })).entries[0]!.path).toBe(path);
    }
  });

  test("refuses a device number that no header holds", () => {
    expect(() => encodeTarHeader({ ...PLAIN, kind: "chardev", major: 2 ** 21 })).toThrow(
      RangeError,
    );
  });

  gnuTar.test("is listed by GNU tar without a complaint", () => {
    const one: TarHeaderInput = {
      ...PLAIN,
      path: byteString("long/".repeat(60) + "name"),
      uid: 3_000_000_000,
      gid: 7,
      size: 1000,
      mtime: { sec: -86_400n, nsec: 0 },
      xattrs: new Map([[byteString("user.a"), Uint8Array.of(0xff)]]),
    };
    const args = ["-tv", "--numeric-owner", "--full-time", "--utc", "-f", "-"];
    const listed = run("tar", args, { stdin: archiveOf(one) });
    expect(listed.stderr).toBe("");
    expect(listed.stdout.toString().replace(/ +/g, " ")).toBe(
      `-rw-r--r-- 3000000000/7 1000 1969-12-31 00:00:00 ${"long/".repeat(60)}name\n`,
    );
  });
});
