import { describe, expect, test } from "vitest";
import { byteString, bytesOf, memorySource } from "#src/core/mod.ts";
import type { ByteSource, ByteString, ImageError } from "#src/core/mod.ts";
import { isDirectory, isFile, isSymlink, openImage } from "#src/core/erofs/reader.ts";
import type { ErofsImage } from "#src/core/erofs/reader.ts";
import type { ErofsInode } from "#src/core/erofs/inode.ts";
import { imageOfDump, offsetOfText, patched, sampleImage } from "./sample.ts";

const SUPER = 1024;
const ROOT_INODE = 1152;

function open(image: Uint8Array): ErofsImage {
  return openImage(memorySource(image));
}

function find(image: ErofsImage, path: string): ErofsInode {
  const inode = image.lookup(byteString(path));
  if (inode === undefined) throw new Error(`${path} is not there`);
  return inode;
}

/** Names of a directory as text; each byte above 0x7f as one character. */
function namesIn(image: ErofsImage, path: string): string[] {
  const inode = find(image, path);
  if (!isDirectory(inode)) throw new Error(`${path} is not a directory`);
  return [...image.entries(inode)].map((entry) => entry.name);
}

function failure(work: () => unknown): { code: string; offset: number } {
  try {
    work();
  } catch (error) {
    const { name, code, offset } = error as ImageError;
    expect(name).toBe("ImageError");
    return { code, offset };
  }
  throw new Error("nothing was thrown");
}

/** A source that notes what is read. */
function countingSource(bytes: Uint8Array): ByteSource & { reads: number; bytesRead: number } {
  return {
    size: bytes.length,
    reads: 0,
    bytesRead: 0,
    read(offset, length) {
      this.reads++;
      this.bytesRead += length;
      return bytes.subarray(offset, offset + length);
    },
  };
}

describe("openImage", () => {
  test.each([0, 1, 2] as const)("reads header and super block of V%i", (version) => {
    const bytes = sampleImage(version);
    const image = open(bytes);
    expect(image.header).toEqual({ version, hasAcl: false });
    expect(image.superBlock.blocks * 4096).toBe(bytes.length);
    expect(image.superBlock.inos).toBe(version === 2 ? 81 : 81 + 256);
    expect(image.superBlock.buildTime.sec).toBe(version === 2 ? 0n : -5n);
    expect(image.root().kind).toBe("directory");
  });

  test("says whether the image has ACLs", () => {
    const dump = "/ 0 40755 2 0 0 0 0.0 - - - system.posix_acl_access=\\x02\\x00\\x00\\x00\n";
    expect(open(imageOfDump(dump, 1)).header.hasAcl).toBe(true);
  });

  test.each<[what: string, image: Uint8Array, code: string, offset: number]>([
    ["an empty file", new Uint8Array(0), "not-erofs", 0],
    ["zeros", new Uint8Array(8192), "not-erofs", SUPER],
    ["text", bytesOf(byteString("#!/bin/sh\n".repeat(500))), "not-erofs", SUPER],
    ["no composefs header", patched(sampleImage(1), 0, 0), "not-composefs", 0],
    ["another header version", patched(sampleImage(1), 4, 2), "unsupported-image", 4],
    ["format version 3", patched(sampleImage(1), 12, 3), "unsupported-image", 12],
    ["blocks of 512 bytes", patched(sampleImage(1), SUPER + 12, 9), "unsupported-image", 1036],
    ["compression", patched(sampleImage(1), SUPER + 80, 1), "unsupported-image", SUPER + 80],
    ["a device table", patched(sampleImage(1), SUPER + 86, 1), "unsupported-image", SUPER + 86],
    ["only a header", sampleImage(1).subarray(0, 1100), "corrupt-image", 1100],
    ["half the blocks", sampleImage(1).subarray(0, 8192), "corrupt-image", SUPER + 36],
    [
      "a root beyond the end",
      patched(sampleImage(1), SUPER + 14, 0xff, 0xff),
      "corrupt-image",
      1038,
    ],
    [
      "a root in the header",
      patched(sampleImage(1), SUPER + 14, 3, 0),
      "corrupt-image",
      SUPER + 14,
    ],
  ])("tells what is wrong with %s", (_what, image, code, offset) => {
    expect(failure(() => open(image))).toEqual({ code, offset });
  });

  test("names the offset in the message of a corrupt image", () => {
    expect(() => open(sampleImage(1).subarray(0, 8192))).toThrow(
      "Cannot read EROFS image: corrupt at offset 1060: the super block counts 12 blocks, the file has 8192 bytes",
    );
  });
});

describe("ErofsImage", () => {
  const image = open(sampleImage(1));

  test("lists a directory in byte order without . and ..", () => {
    expect(namesIn(image, "/dir")).toEqual(["first", "second", "sub"]);
    const root = namesIn(image, "/");
    expect(root).toHaveLength(256 + 76);
    expect([...root].sort((a, b) => (a < b ? -1 : 1))).toEqual(root);
    expect(root).toContain("n\xffme with \\");
  });

  test("tells whiteout stubs from what users made", () => {
    expect(image.isWhiteoutStub(find(image, "/7f"))).toBe(true);
    expect(image.isWhiteoutStub(find(image, "/char"))).toBe(false);
    expect(image.isWhiteoutStub(find(image, "/whiteout"))).toBe(false);
    const v2 = open(sampleImage(2));
    expect(v2.isWhiteoutStub(find(v2, "/whiteout"))).toBe(false);
    expect(v2.lookup(byteString("/7f"))).toBeUndefined();
  });

  test.each([0, 1, 2] as const)("finds every name of the root by lookup in V%i", (version) => {
    const other = open(sampleImage(version));
    for (const { name, nid } of other.entries(other.root())) {
      expect(other.lookup(`/${name}` as ByteString)?.nid).toBe(nid);
    }
  });

  test("does not find what is not there", () => {
    for (const path of ["/0", "/zz", "/!", "/dir/none", "/inline/x", "/link/x", "x"]) {
      expect(image.lookup(byteString(path)), path).toBeUndefined();
    }
  });

  test("walks . and .. in a path, and stops at the root", () => {
    expect(find(image, "/../dir/./sub/../first")).toEqual(find(image, "/dir/first"));
    expect(find(image, "..").nid).toBe(image.rootNid);
    expect(find(image, "").nid).toBe(image.rootNid);
  });

  test("decodes all that an inode has", () => {
    expect(find(image, "/dir")).toMatchObject({
      kind: "directory",
      extended: true,
      mode: 0o700,
      nlink: 3,
      uid: 70000,
      gid: 70000,
      mtime: { sec: 1700000001n, nsec: 0 },
    });
    expect(find(image, "/char")).toMatchObject({ kind: "chardev", u: 259, size: 0 });
    expect(find(image, "/huge")).toMatchObject({ kind: "file", size: 1099511627777, layout: 4 });
    expect(find(image, "/dir/sub/deep/leaf")).toMatchObject({
      kind: "symlink",
      extended: false,
      mtime: { sec: -5n, nsec: 999999999 },
    });
  });

  test("readlink gives the target", () => {
    const link = find(image, "/link");
    expect(isSymlink(link) && image.readlink(link)).toBe("external");
  });

  test("content gives inline data, in the inode or in a block, and nothing for external files", () => {
    const content = (path: string): Uint8Array | undefined => {
      const inode = find(image, path);
      return isFile(inode) ? image.content(inode) : undefined;
    };
    expect(content("/inline")).toEqual(bytesOf(byteString("hello world\n")));
    expect(content("/inline-block")).toEqual(bytesOf(byteString("b".repeat(3000))));
    expect(content("/.hidden")).toEqual(new Uint8Array(0));
    expect(content("/external")).toBeUndefined();
  });

  test("xattrs gives what users see, rawXattrs what is stored", () => {
    const dir = find(image, "/dir");
    expect([...image.xattrs(dir).keys()].sort()).toEqual([
      "security.selinux",
      "trusted.overlay.opaque",
    ]);
    expect(image.rawXattrs(dir).map(({ name, shared }) => [name, shared])).toEqual([
      ["trusted.overlay.overlay.opaque", false],
      ["security.selinux", true],
    ]);
    const external = find(image, "/external");
    expect([...image.xattrs(external).keys()]).toEqual(["user.tag", "security.selinux"]);
    expect(image.overlay(external)).toMatchObject({
      metacopy: "5a".repeat(32),
      redirect: `5a/${"5a".repeat(31)}`,
    });
  });

  test("nid refuses a number that cannot be an inode", () => {
    expect(image.nid(36)).toBe(36);
    for (const nid of [0, 35, 49152 / 32, 2 ** 60, -1, Number.NaN]) {
      expect(failure(() => image.nid(nid)).code).toBe("corrupt-image");
    }
  });
});

describe("ErofsImage on broken structures", () => {
  const good = sampleImage(1);
  const rootData = open(good).root().u * 4096;

  const list = (bytes: Uint8Array): void => {
    const image = open(bytes);
    for (const entry of image.entries(image.root())) image.inode(entry.nid);
  };

  test.each<[what: string, image: Uint8Array, code: string, offset: number]>([
    ["an inode without a type", patched(good, ROOT_INODE + 5, 0), "corrupt-image", ROOT_INODE + 4],
    ["a root that is a file", patched(good, ROOT_INODE + 5, 0x81), "corrupt-image", ROOT_INODE],
    ["compressed data", patched(good, ROOT_INODE, 2), "unsupported-image", ROOT_INODE],
    ["unknown format bits", patched(good, ROOT_INODE, 0x10), "unsupported-image", ROOT_INODE],
    ["data in the super block", patched(good, ROOT_INODE + 16, 0), "corrupt-image", 1168],
    ["data beyond the end", patched(good, ROOT_INODE + 16, 0, 1), "corrupt-image", 1168],
    ["a directory of 2^31 bytes", patched(good, ROOT_INODE + 11, 0x80), "corrupt-image", 1168],
    ["no names", patched(good, rootData + 8, 0, 0), "corrupt-image", rootData + 8],
    ["names beyond the block", patched(good, rootData + 8, 0, 0x30), "corrupt-image", rootData + 8],
    [
      "a name that ends before it starts",
      patched(good, rootData + 20, 1, 0),
      "corrupt-image",
      20 + rootData,
    ],
    ["a nid of 2^63", patched(good, rootData + 7, 0x80), "corrupt-image", rootData],
    ["an unknown file type", patched(good, rootData + 10, 9), "corrupt-image", rootData + 10],
    ["a . that is another", patched(good, rootData, 43), "corrupt-image", rootData],
  ])("refuses %s", (_what, image, code, offset) => {
    expect(failure(() => list(image))).toEqual({ code, offset });
  });

  test.each([
    ["with a slash", 12, "/", "a name with a slash"],
    ["with a NUL", 12, "\0", "a name with a NUL"],
    ["out of order", 0, "z", "directory entries are not in order"],
  ])("refuses a name %s", (_what, place, byte, reason) => {
    const at = offsetOfText(good, "external-twin");
    expect(() => list(patched(good, at + place, byte.charCodeAt(0)))).toThrow(reason);
  });

  test("refuses a shared xattr beyond the end", () => {
    const { xattrOffset } = find(open(good), "/fifo");
    const image = open(patched(good, xattrOffset + 12, 0xff, 0xff, 0xff, 0x7f));
    expect(failure(() => image.xattrs(find(image, "/fifo"))).code).toBe("corrupt-image");
  });

  test("refuses more shared xattrs than the xattr area holds", () => {
    const { xattrOffset } = find(open(good), "/fifo");
    const image = open(patched(good, xattrOffset + 4, 255));
    expect(failure(() => image.xattrs(find(image, "/fifo")))).toEqual({
      code: "corrupt-image",
      offset: xattrOffset + 4,
    });
  });
});

describe("ErofsImage on a large image", () => {
  const lines = ["/ 0 40755 2 0 0 0 0.0 - - -", "/usr 0 40755 2 0 0 0 0.0 - - -"];
  for (let i = 0; i < 7500; i++) {
    lines.push(
      `/usr/file-${String(i).padStart(5, "0")} 4096 100644 1 0 0 0 0.0 - ${"x".repeat(4096)} -`,
    );
  }
  const bytes = imageOfDump(`${lines.join("\n")}\n`, 1);

  test("listing / reads a few blocks of 30 MB", () => {
    expect(bytes.length).toBeGreaterThan(30e6);
    const source = countingSource(bytes);
    const image = openImage(source);
    const kinds = [...image.entries(image.root())].map(({ nid }) => image.inode(nid).kind);
    expect(kinds).toHaveLength(257);
    expect(source.reads).toBeLessThanOrEqual(6);
    expect(source.bytesRead).toBeLessThanOrEqual(6 * 4096);
  });

  test("looking a path up reads a few blocks of 30 MB", () => {
    const source = countingSource(bytes);
    const image = openImage(source);
    expect(image.lookup(byteString("/usr/file-06543"))?.kind).toBe("file");
    expect(image.lookup(byteString("/usr/file-06543x"))).toBeUndefined();
    expect(source.reads).toBeLessThanOrEqual(12);
  });
});
