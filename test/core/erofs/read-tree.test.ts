import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  byteString,
  chooseFormatVersion,
  formatDump,
  memorySource,
  parseDump,
  validateTree,
  walkTree,
  writeImage,
} from "#src/core/mod.ts";
import type { ByteString, Directory, FormatVersion, Node } from "#src/core/mod.ts";
import { readTree } from "#src/core/erofs/read-tree.ts";
import { openImage } from "#src/core/erofs/reader.ts";
import { needs } from "../../support/needs.ts";
import { oracle } from "../../support/oracle.ts";
import { randomTree } from "../../support/random-tree.ts";
import { dumpVectors, readVector } from "../../support/shared.ts";
import { tempDir } from "../../support/temp.ts";
import { SAMPLE_DUMP, imageOfDump, offsetOfText, patched, sampleImage } from "./sample.ts";

const VERSIONS = [0, 1, 2] as const;
const RUNS = Number(process.env["COMPOSEFS_PROPERTY_RUNS"] ?? 100);

function read(image: Uint8Array, toplevel?: readonly string[]): Directory {
  const options = toplevel === undefined ? {} : { toplevel: new Set(toplevel.map(byteString)) };
  return readTree(openImage(memorySource(image)), options);
}

/** The dump of a tree; each byte one character. */
function dumpText(root: Directory): string {
  return [...formatDump(root)].join("");
}

function nodeAt(root: Directory, path: string): Node | undefined {
  for (const stop of walkTree(root)) if (stop.path === path) return stop.node;
  return undefined;
}

describe("readTree", () => {
  test.each(VERSIONS)("gives back the dump that V%i was made of", (version) => {
    const lines = (dump: string): string[] =>
      // The reader fills in the sizes of directories.
      dump.split("\n").map((line) => line.replace(/^(\S+) \d+ (?=40)/, "$1 "));
    const wanted = lines(SAMPLE_DUMP).map((line) => {
      if (version === 2) return line.replace(/ (-?\d+)\.\d+ /, " $1.0 ");
      // The writer marks a directory that has whiteouts; C shows these marks, so do we.
      if (version === 0 || !line.startsWith("/ ")) return line;
      return line.replace(" security", " trusted.overlay.opaque=x user.overlay.opaque=x security");
    });
    expect(lines(dumpText(read(sampleImage(version))))).toEqual(wanted);
  });

  test("makes the first name of an inode the leaf, in depth-first order, and the others links", () => {
    const dump = `/ 0 40755 3 0 0 0 0.0 - - -
/a 0 40755 2 0 0 0 0.0 - - -
/a/late 0 @120000 - - - - 0.0 /b - -
/b 2 100644 2 0 0 0 0.0 - hi -
`;
    for (const version of VERSIONS) {
      const root = read(imageOfDump(dump, version));
      const first = nodeAt(root, "/a/late");
      expect(first).toMatchObject({ kind: "file", nlink: 2 });
      expect(nodeAt(root, "/b")).toEqual({ kind: "hardlink", target: first });
    }
  });

  test("records the size and link count of directories", () => {
    expect(read(sampleImage(1)).recorded).toEqual({ size: 12288, nlink: 3 });
    expect(nodeAt(read(sampleImage(2)), "/dir/sub")).toMatchObject({
      recorded: { size: 43, nlink: 3 },
    });
  });

  test("leaves whiteout stubs out and turns escaped whiteouts back", () => {
    const root = read(sampleImage(1));
    expect(root.entries.has(byteString("7f"))).toBe(false);
    expect(nodeAt(root, "/whiteout")).toMatchObject({ kind: "chardev", rdev: 0 });
  });

  test("keeps the whiteouts of V2, also those with the names of stubs", () => {
    const dump = "/ 0 40755 2 0 0 0 0.0 - - -\n/7f 0 20644 1 0 0 0 0.0 - - -\n";
    expect(nodeAt(read(imageOfDump(dump, 2)), "/7f")).toMatchObject({ kind: "chardev", rdev: 0 });
    expect(nodeAt(read(imageOfDump(dump, 1)), "/7f")).toMatchObject({ kind: "chardev", rdev: 0 });
  });

  test("toplevel reads the named entries of the root alone", () => {
    const root = read(sampleImage(1), ["dir", "fifo", "first", "7f", "none"]);
    expect([...root.entries.keys()]).toEqual(["dir", "fifo"]);
    expect(nodeAt(root, "/dir/sub/deep/leaf")).toMatchObject({ kind: "symlink", target: "a/b" });
  });

  test("finds the path of a backing file, the digest, both or none", () => {
    const digest = "ab".repeat(32);
    const long = "cd".repeat(64);
    const dump = `/ 0 40755 2 0 0 0 0.0 - - -
/both 7 100644 1 0 0 0 0.0 any/path - ${digest}
/none 7 100644 1 0 0 0 0.0 - - -
/only-digest 7 100644 1 0 0 0 0.0 - - ${digest}
/only-path 7 100644 1 0 0 0 0.0 abc - -
/slashes 7 100644 1 0 0 0 0.0 //abc - -
`;
    for (const version of VERSIONS) {
      const root = read(imageOfDump(dump, version));
      const content = (path: string): unknown => {
        const node = nodeAt(root, path);
        return node?.kind === "file" ? node.content : undefined;
      };
      expect(content("/both")).toEqual({ kind: "external", size: 7, path: "any/path", digest });
      expect(content("/none")).toEqual({ kind: "sparse", size: 7 });
      expect(content("/only-digest")).toMatchObject({ kind: "external", path: undefined, digest });
      expect(content("/only-path")).toMatchObject({ kind: "external", path: "abc" });
    }
    const tree = read(imageOfDump(dump, 2));
    const sha512 = { kind: "external", size: 7, path: "x", digest: long } as const;
    const node = { ...(nodeAt(tree, "/both") as object), content: sha512 } as Node;
    const root = { ...tree, entries: new Map([["f" as ByteString, node]]) };
    expect(nodeAt(read(writeImage(validateTree(root), { version: 1 })), "/f")).toEqual(node);
  });

  test("shares xattr sets and values among inodes that have the same", () => {
    const root = read(sampleImage(1));
    const fifo = nodeAt(root, "/fifo") as Directory;
    const dir = nodeAt(root, "/external") as Directory;
    const label = byteString("security.selinux");
    expect(fifo.stat.xattrs.get(label)).toBe(dir.stat.xattrs.get(label));
  });

  test("owns its bytes: a change of the source does not reach the tree", () => {
    const image = sampleImage(1);
    const root = read(image);
    const before = dumpText(root);
    image.fill(0xee);
    expect(dumpText(root)).toBe(before);
  });

  test("reads directories as deep as paths can be, and refuses deeper ones", () => {
    const nested = (depth: number): Directory => {
      const { stat } = parseDump(Buffer.from("/ 0 40755 2 0 0 0 0.0 - - -\n"));
      let directory: Directory = { kind: "directory", stat, entries: new Map() };
      for (let i = 1; i < depth; i++) {
        directory = { kind: "directory", stat, entries: new Map([[byteString("d"), directory]]) };
      }
      return directory;
    };
    const image = (depth: number): Uint8Array =>
      writeImage(validateTree(nested(depth)), { version: 2 });
    expect([...walkTree(read(image(2048)))]).toHaveLength(2048);
    expect(() => read(image(2049))).toThrow("directories more than 2048 deep");
  });

  test.each(VERSIONS)(
    "gives the tree that writes the same V%i again, for random trees",
    (version) => {
      fc.assert(
        fc.property(randomTree, (tree) => {
          // Once read, a tree holds only what images tell: the first name of an inode as the leaf, say.
          const first = write(tree, version);
          fc.pre(first !== undefined);
          const settled = write(read(first), version);
          expect(Buffer.compare(write(read(settled!), version)!, settled!)).toBe(0);
        }),
        { numRuns: RUNS },
      );
    },
    120_000,
  );
});

/** Some trees do not fit V2. */
function write(tree: Directory, version: FormatVersion): Uint8Array | undefined {
  try {
    return writeImage(validateTree(tree), { version });
  } catch {
    return undefined;
  }
}

const withVectors = needs("oracle", "vectors");
const withOracle = needs("oracle");

/**
 * What C shows of an image. It reads two bytes too many of a redirect, and stops before a last xattr
 * that has neither name nor value; both is taken out of the comparison.
 */
function expectSameDump(ours: string, theirs: string): void {
  const lines = (dump: string): string[] =>
    dump.replaceAll(/ system\.posix_acl_(access|default)=(?= |$)/gm, "").split("\n");
  const theirLines = lines(theirs);
  const ourLines = lines(ours);
  expect(theirLines.length).toBe(ourLines.length);
  for (const [i, line] of ourLines.entries()) {
    const our = line.split(" ");
    const their = theirLines[i]!.split(" ");
    if (our[8] !== their[8] && our[8] !== "-" && their[8]!.startsWith(our[8]!)) their[8] = our[8]!;
    expect(their.join(" ")).toBe(our.join(" "));
  }
}

function composefsInfoDump(image: Uint8Array): string {
  const path = join(tempDir(), "image");
  writeFileSync(path, image);
  const done = oracle.composefsInfo(["dump", path]);
  if (done.status !== 0) throw new Error(done.stderr);
  return done.stdout.toString("latin1");
}

withVectors.describe("readTree against C composefs-info", () => {
  for (const vector of dumpVectors().filter(({ imageSha256 }) => imageSha256 !== undefined)) {
    test(`dumps ${vector.name} as C does`, () => {
      const tree = validateTree(parseDump(readVector(vector)));
      const version =
        (vector.version as FormatVersion | undefined) ??
        chooseFormatVersion(tree, { minVersion: 0, maxVersion: 1 });
      const image = writeImage(tree, { version });
      expectSameDump(dumpText(read(image)), composefsInfoDump(image));
    });
  }
});

withOracle.describe("readTree against C composefs-info", () => {
  test.each([0, 1] as const)(
    "dumps random trees in V%i as C does",
    (version) => {
      fc.assert(
        fc.property(randomTree, (tree) => {
          const image = write(tree, version)!;
          expectSameDump(dumpText(read(image)), composefsInfoDump(image));
        }),
        { numRuns: RUNS },
      );
    },
    120_000,
  );

  test("dumps the sample in V2 as C does, but for the whiteout that C does not know in V2", () => {
    const image = sampleImage(2);
    const ours = dumpText(read(image)).replace(/^\/whiteout .*\n/m, "");
    expectSameDump(ours, composefsInfoDump(image));
  });
});

describe("readTree on broken images", () => {
  const good = sampleImage(1);
  const image = openImage(memorySource(good));
  const inodeOf = (path: string) => image.lookup(byteString(path))!;
  const direntOf = (parent: string, name: string): number => {
    const directory = inodeOf(parent);
    for (const entry of image.entries(directory as never))
      if (entry.name === name) return entry.offset;
    throw new Error(`${name} is not there`);
  };
  const u16 = (value: number): [number, number] => [value & 0xff, value >> 8];
  const metacopyAt = offsetOfText(good, "overlay.metacopy") + 16;

  test.each<[what: string, offset: number, bytes: readonly number[], reason: string]>([
    [
      "a directory loop",
      direntOf("/dir", "sub"),
      u16(inodeOf("/dir").nid),
      "a directory that has two names",
    ],
    ["a loop to the root", direntOf("/dir", "sub"), u16(36), "a directory that has two names"],
    ["a wrong ..", inodeOf("/dir/sub").tailOffset + 12, u16(36), `".." is not what it should be`],
    [
      "a type that differs",
      direntOf("/", "fifo") + 10,
      [6],
      "a fifo whose directory entry says socket",
    ],
    [
      "a directory without ..",
      inodeOf("/dir/sub").tailOffset + 37,
      [0x21],
      "entries are not in order",
    ],
    ["a symlink to nothing", inodeOf("/link").offset + 8, [0], "a symlink target of 0 bytes"],
    ["a symlink with a NUL", inodeOf("/link").tailOffset, [0], "a symlink target with a NUL"],
    [
      "a stub with two links",
      inodeOf("/7f").offset + 44,
      [2],
      "a whiteout stub with several links",
    ],
    [
      "a chunk address",
      inodeOf("/sparse").tailOffset,
      [0],
      "a chunk of an external file has an address",
    ],
    [
      "indexes instead of addresses",
      inodeOf("/sparse").offset + 16,
      [0x24],
      "no chunk format 0x24",
    ],
    ["a metacopy of another version", metacopyAt, [1], "a malformed metacopy xattr"],
    [
      "data in two places",
      inodeOf("/external").offset,
      [1],
      "data both in the image and elsewhere",
    ],
    [
      "a huge inline file",
      inodeOf("/inline-block").offset + 9,
      [0x30],
      "no inline file of 12472 bytes",
    ],
  ])("refuses %s", (_what, offset, bytes, reason) => {
    expect(() => read(patched(good, offset, ...bytes))).toThrow(reason);
  });
});
