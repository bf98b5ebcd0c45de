import { describe, expect, test } from "vitest";
import { byteString, validateTree } from "#src/core/mod.ts";
import type { ByteString, Directory, Leaf, Node, Stat } from "#src/core/mod.ts";

const stat: Stat = { mode: 0o755, uid: 0, gid: 0, mtime: { sec: 0n, nsec: 0 }, xattrs: new Map() };
const file: Leaf = {
  kind: "file",
  stat,
  nlink: 1,
  content: { kind: "inline", data: new Uint8Array(0) },
};

function tree(entries: Record<string, Node>, rootStat: Stat = stat): Directory {
  return {
    kind: "directory",
    stat: rootStat,
    entries: new Map(Object.entries(entries) as [ByteString, Node][]),
  };
}

describe("validateTree", () => {
  test.each<[what: string, root: Directory, reason: RegExp]>([
    ["an empty name", tree({ "": file }), /empty name/],
    ["a name with a slash", tree({ "a/b": file }), /slash or a NUL/],
    ["the name ..", tree({ "..": file }), /\. or \.\./],
    ["a name of 256 bytes", tree({ ["n".repeat(256)]: file }), /255 bytes/],
    ["one leaf at two places", tree({ a: file, b: file }), /use a hard link/],
    [
      "a hard link out of the tree",
      tree({ a: { kind: "hardlink", target: file } }),
      /outside the tree/,
    ],
    ["type bits in the mode", tree({}, { ...stat, mode: 0o100644 }), /mode 100644/],
    ["an owner over 32 bits", tree({}, { ...stat, uid: 2 ** 32 }), /uid 4294967296/],
    ["a time over 64 bits", tree({}, { ...stat, mtime: { sec: 2n ** 63n, nsec: 0 } }), /time/],
    [
      "an xattr without name",
      tree({}, { ...stat, xattrs: new Map([[byteString(""), new Uint8Array(0)]]) }),
      /xattr name/,
    ],
    [
      "an xattr of 65536 bytes",
      tree({}, { ...stat, xattrs: new Map([[byteString("user.a"), new Uint8Array(65536)]]) }),
      /65535/,
    ],
    [
      "inline content of 5001 bytes",
      tree({ a: { ...file, content: { kind: "inline", data: new Uint8Array(5001) } } }),
      /5000/,
    ],
    [
      "a file over 2^53 bytes",
      tree({ a: { ...file, content: { kind: "sparse", size: 2 ** 54 } } }),
      /file size/,
    ],
    [
      "an external file with nothing to find it by",
      tree({
        a: { ...file, content: { kind: "external", size: 1, path: undefined, digest: undefined } },
      }),
      /without path/,
    ],
    [
      "a symlink to nothing",
      tree({ a: { kind: "symlink", stat, nlink: 1, target: byteString("") } }),
      /symlink target/,
    ],
    [
      "a device number over 32 bits",
      tree({ a: { kind: "chardev", stat, nlink: 1, rdev: 2 ** 32, claimedSize: 0 } }),
      /device number/,
    ],
  ])("refuses %s", (_what, root, reason) => {
    expect(() => validateTree(root)).toThrow(reason);
  });

  test("counts inodes and names", () => {
    const root = tree({ a: file, b: { kind: "hardlink", target: file }, d: tree({}) });
    const checked = validateTree(root);
    expect(checked.inodes).toBe(3);
    expect([...checked.linkCounts]).toEqual([[file, 2]]);
  });

  test("walks a tree of 50,000 levels without overflow", () => {
    let root = tree({});
    for (let depth = 0; depth < 50_000; depth++) root = tree({ d: root });
    expect(validateTree(root).inodes).toBe(50_001);
  });
});
