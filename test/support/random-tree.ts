/**
 * Random trees for property tests: every kind of node, and sizes around every boundary that the
 * EROFS layout has.
 */

import * as fc from "fast-check";
import { byteString, byteStringFrom, objectPath, parseFsVerityDigest } from "#src/core/mod.ts";
import type {
  ByteString,
  Directory,
  FileContent,
  Leaf,
  Node,
  Stat,
  Timestamp,
  Xattrs,
} from "#src/core/mod.ts";

interface OpenDirectory extends Directory {
  readonly entries: Map<ByteString, Node>;
}

/** What the tree is built from: each entry goes into one of the directories that are there by then. */
interface Entry {
  readonly parent: number;
  readonly name: ByteString;
  readonly what: { readonly leaf: Leaf } | { readonly stat: Stat } | { readonly linkTo: number };
}

const UINT32_MAX = 0xffffffff;

const nameByte = fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f);

function bytes(min: number, max: number): fc.Arbitrary<ByteString> {
  return fc
    .array(nameByte, { minLength: min, maxLength: max })
    .map((array) => byteStringFrom(Uint8Array.from(array)));
}

/** Mostly short and plain, sometimes as the whiteout stubs, sometimes long, always legal. */
const name: fc.Arbitrary<ByteString> = fc
  .oneof(
    { weight: 6, arbitrary: fc.string({ minLength: 1, maxLength: 12 }).map(byteString) },
    {
      weight: 2,
      arbitrary: fc
        .integer({ min: 0, max: 255 })
        .map((n) => byteString(n.toString(16).padStart(2, "0"))),
    },
    { weight: 2, arbitrary: bytes(1, 20) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 200, max: 255 }).map((n) => byteString("n".repeat(n))),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("-", "+x", "...", "!", "=", "a b", "\\").map(byteString),
    },
  )
  .filter((text) => text !== "." && text !== ".." && !/[/\0]/.test(text) && text.length <= 255);

const timestamp: fc.Arbitrary<Timestamp> = fc.oneof(
  fc.constant({ sec: 0n, nsec: 0 }),
  fc.constantFrom(
    { sec: 1_600_000_000n, nsec: 5 },
    { sec: -5n, nsec: 999_999_999 },
    { sec: -(2n ** 62n), nsec: 0 },
    { sec: 2n ** 40n, nsec: 1 },
  ),
);

const id = fc.oneof(
  fc.constant(0),
  fc.constantFrom(1000, 65535, 65536, UINT32_MAX),
  fc.integer({ min: 0, max: UINT32_MAX }),
);

const xattrName: fc.Arbitrary<ByteString> = fc.oneof(
  fc
    .constantFrom(
      "user.a",
      "user.overlay.whiteout",
      "user.overlay.opaque",
      "trusted.x",
      "trusted.overlay.opaque",
      "trusted.overlay.overlay.metacopy",
      "trusted.overlay.redirect",
      "security.selinux",
      "security.capability",
      "system.posix_acl_access",
      "system.posix_acl_default",
      "lustre.lov",
      "other",
      "system.posix_acl_accessory",
    )
    .map(byteString),
  fc.integer({ min: 1, max: 250 }).map((n) => byteString(`user.${"k".repeat(n)}`)),
);

const xattrValue: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc
    .constantFrom("", "x", "system_u:object_r:etc_t:s0")
    .map((text) => new TextEncoder().encode(text)),
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 1900, max: 4200 }).map((n) => new Uint8Array(n).fill(n)),
);

const xattrs: fc.Arbitrary<Xattrs> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Xattrs>(new Map()) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.tuple(xattrName, xattrValue), { maxLength: 5 })
      .map((pairs) => new Map(pairs.map(([key, value]) => [key, Uint8Array.from(value)]))),
  },
);

const stat: fc.Arbitrary<Stat> = fc.record({
  mode: fc.constantFrom(0o644, 0o755, 0o7777, 0),
  uid: id,
  gid: id,
  mtime: timestamp,
  xattrs,
});

const contentSize = fc.constantFrom(
  0,
  1,
  63,
  64,
  65,
  2000,
  2047,
  2048,
  2049,
  4000,
  4064,
  4095,
  4096,
);

const fileSize = fc.oneof(
  fc.constantFrom(
    1,
    4096,
    4097,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 43,
    2 ** 43 + 1,
    2 ** 50,
    2 ** 53,
  ),
  fc.integer({ min: 1, max: 2 ** 52 }),
);

const digest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((raw) => parseFsVerityDigest(Buffer.from(raw).toString("hex")));

const content: fc.Arbitrary<FileContent> = fc.oneof(
  contentSize.map((size): FileContent => ({
    kind: "inline",
    data: new Uint8Array(size).fill(size),
  })),
  fc
    .tuple(fileSize, digest)
    .map(([size, d]): FileContent => ({ kind: "external", size, path: objectPath(d), digest: d })),
  fc
    .tuple(fileSize, bytes(1, 300))
    .map(([size, path]): FileContent => ({ kind: "external", size, path, digest: undefined })),
  fc
    .tuple(fileSize, digest)
    .map(([size, d]): FileContent => ({ kind: "external", size, path: undefined, digest: d })),
  fileSize.map((size): FileContent => ({ kind: "sparse", size })),
);

const nlink = fc.constantFrom(1, 1, 1, 2, 65535, 65536);
const claimedSize = fc.constantFrom(0, 0, 0, 5, 2 ** 32 - 1, 2 ** 32);

const leaf: fc.Arbitrary<Leaf> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("file" as const), stat, nlink, content }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("symlink" as const),
      stat,
      nlink,
      target: fc.oneof(
        bytes(1, 60),
        fc
          .constantFrom(1000, 2048, 4000, 4031, 4032, 4063, 4064, 4095)
          .map((n) => byteString("t".repeat(n))),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("chardev" as const, "blockdev" as const),
      stat,
      nlink,
      rdev: fc.constantFrom(0, 0, 259, UINT32_MAX),
      claimedSize,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("fifo" as const, "socket" as const),
      stat,
      nlink,
      claimedSize,
    }),
  },
);

const entry: fc.Arbitrary<Entry> = fc.record({
  parent: fc.nat({ max: 1000 }),
  name,
  what: fc.oneof(
    { weight: 6, arbitrary: fc.record({ leaf }) },
    { weight: 2, arbitrary: fc.record({ stat }) },
    { weight: 1, arbitrary: fc.record({ linkTo: fc.nat({ max: 1000 }) }) },
  ),
});

/** Trees of up to a few hundred nodes, one in some with a directory of several blocks. */
export const randomTree: fc.Arbitrary<Directory> = fc
  .record({
    rootStat: stat,
    entries: fc.array(entry, { maxLength: 40 }),
    crowd: fc.option(
      fc.record({
        count: fc.integer({ min: 50, max: 400 }),
        length: fc.integer({ min: 3, max: 200 }),
      }),
      { freq: 4 },
    ),
  })
  .map(({ rootStat, entries, crowd }) => buildTree(rootStat, entries, crowd ?? undefined));

function buildTree(
  rootStat: Stat,
  entries: readonly Entry[],
  crowd: { readonly count: number; readonly length: number } | undefined,
): Directory {
  const root: OpenDirectory = { kind: "directory", stat: rootStat, entries: new Map() };
  const directories = [root];
  const leaves: Leaf[] = [];
  for (const { parent, name: key, what } of entries) {
    const directory = directories[parent % directories.length]!;
    if (directory.entries.has(key)) continue;
    if ("leaf" in what) {
      // Shrinking and repetition may hand out one object twice; a tree holds each leaf once.
      const own = { ...what.leaf };
      leaves.push(own);
      directory.entries.set(key, own);
    } else if ("stat" in what) {
      const sub: OpenDirectory = { kind: "directory", stat: what.stat, entries: new Map() };
      directories.push(sub);
      directory.entries.set(key, sub);
    } else if (leaves.length > 0) {
      directory.entries.set(key, {
        kind: "hardlink",
        target: leaves[what.linkTo % leaves.length]!,
      });
    }
  }
  if (crowd !== undefined)
    fillDirectory(directories[directories.length - 1]!, crowd.count, crowd.length);
  return root;
}

function fillDirectory(directory: OpenDirectory, count: number, length: number): void {
  for (let i = 0; i < count; i++) {
    const key = byteString(`crowd${i}`.padEnd(length, "_"));
    const plain: Stat = {
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: directory.stat.mtime,
      xattrs: new Map(),
    };
    if (!directory.entries.has(key)) {
      directory.entries.set(key, {
        kind: "file",
        stat: plain,
        nlink: 1,
        content: { kind: "inline", data: new Uint8Array(0) },
      });
    }
  }
}
