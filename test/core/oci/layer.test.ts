/** What layers may say and what it does, case by case. */

import { describe, expect, test } from "vitest";
import {
  ComposefsError,
  LayerBuilder,
  byteString,
  canonicalizeBootableRootfs,
  canonicalizeRootfs,
  displayText,
  formatDump,
  mergeLayers,
  parseDump,
  validateTree,
  walkTree,
} from "#src/core/mod.ts";
import type { Directory, LayerOptions, MergeOptions } from "#src/core/mod.ts";
import { layerOf, mergeArchives } from "../../support/layers.ts";
import { archive, header, member, pax } from "../../support/tar-bytes.ts";

const dir = (name: string, mtime = 0): Buffer =>
  header({ name, typeflag: "5", mode: 0o755, mtime });
const file = (name: string, content = name): Buffer => member({ name }, content);
const link = (name: string, linkname: string): Buffer => header({ name, typeflag: "1", linkname });
const symlink = (name: string, linkname: string): Buffer =>
  header({ name, typeflag: "2", linkname });

type Options = LayerOptions & MergeOptions;

/** Paths of the merged tree, each with the content of a file or the kind of anything else. */
function merged(layers: readonly Buffer[][], options: Options = {}): Record<string, string> {
  const tree = mergeArchives(
    layers.map((members) => archive(...members)),
    options,
  );
  validateTree(tree);
  return contentsOf(tree);
}

function contentsOf(tree: Directory): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { path, node } of walkTree(tree)) {
    if (path === "/") continue;
    const leaf = node.kind === "hardlink" ? node.target : node;
    const isInline = leaf.kind === "file" && leaf.content.kind === "inline";
    found[displayText(path)] = isInline ? Buffer.from(leaf.content.data).toString() : node.kind;
  }
  return found;
}

function refusal(layers: readonly Buffer[][], options: Options = {}): string {
  try {
    merged(layers, options);
  } catch (error) {
    expect(error).toBeInstanceOf(ComposefsError);
    expect((error as ComposefsError).code).toBe("invalid-layer");
    return (error as ComposefsError).message;
  }
  throw new Error("the layers were merged");
}

describe("mergeLayers: what a later layer does", () => {
  test("adds, replaces, and keeps what it does not name", () => {
    const lower = [dir("d"), file("d/kept"), file("d/replaced", "old"), file("f")];
    const upper = [file("d/replaced", "new"), dir("f"), file("f/inside")];
    expect(merged([lower, upper])).toEqual({
      "/d": "directory",
      "/d/kept": "d/kept",
      "/d/replaced": "new",
      "/f": "directory",
      "/f/inside": "f/inside",
    });
  });

  test("a file over a directory takes the place of all that was in it", () => {
    expect(merged([[dir("d"), file("d/x")], [file("d")]])).toEqual({ "/d": "d" });
  });

  test("a directory over a directory changes its stat alone", () => {
    const tree = mergeArchives([archive(dir("d", 1), file("d/x")), archive(dir("d", 2))]);
    const directory = tree.entries.get(byteString("d")) as Directory;
    expect(directory.stat.mtime.sec).toBe(2n);
    expect(directory.entries.size).toBe(1);
  });

  test("an entry for the root changes its stat, however it is written", () => {
    for (const name of ["./", "/", ".", "//."]) {
      expect(mergeArchives([archive(dir(name, 7))]).stat.mtime.sec).toBe(7n);
    }
  });

  test("one path may be written in many ways", () => {
    const layer = [dir("./d/"), file("/d//a"), file("././d/./b")];
    expect(Object.keys(merged([layer]))).toEqual(["/d", "/d/a", "/d/b"]);
  });

  test("a layer can be merged again and again", () => {
    const base = layerOf(archive(dir("d"), file("d/x")));
    const hide = layerOf(archive(file("d/.wh.x", "")));
    expect(contentsOf(mergeLayers([base, hide]))).toEqual({ "/d": "directory" });
    expect(contentsOf(mergeLayers([base]))).toEqual({ "/d": "directory", "/d/x": "d/x" });
    expect(contentsOf(mergeLayers([base, hide, base]))).toEqual({
      "/d": "directory",
      "/d/x": "d/x",
    });
  });
});

describe("mergeLayers: whiteouts", () => {
  const lower = [dir("d"), file("d/a", "lower"), dir("d/sub"), file("d/sub/x"), file("f")];

  test("hide files and whole directories of lower layers", () => {
    expect(merged([lower, [file(".wh.f", ""), file("d/.wh.sub", "")]])).toEqual({
      "/d": "directory",
      "/d/a": "lower",
    });
  });

  test.each([
    ["before", [file("d/.wh.a", ""), file("d/a", "upper")]],
    ["after", [file("d/a", "upper"), file("d/.wh.a", "")]],
  ])("never hide what their own layer has, with the whiteout %s it", (_, upper) => {
    expect(merged([lower, upper])["/d/a"]).toBe("upper");
  });

  test.each([
    ["before", [file("d/.wh..wh..opq", ""), dir("d"), file("d/new")]],
    ["after", [dir("d"), file("d/new"), file("d/.wh..wh..opq", "")]],
  ])(
    "an opaque directory hides all below it and nothing of its own layer, with the mark %s",
    (_, upper) => {
      expect(merged([lower, upper])).toEqual({ "/d": "directory", "/d/new": "d/new", "/f": "f" });
    },
  );

  test("a directory that was hidden and made again holds nothing of the old one", () => {
    expect(merged([lower, [dir("d"), file(".wh.d", "")]])).toEqual({
      "/d": "directory",
      "/f": "f",
    });
  });

  test("hide the root's files when the root is opaque", () => {
    expect(merged([lower, [file(".wh..wh..opq", ""), file("new")]])).toEqual({ "/new": "new" });
  });

  test("of a name that is not there do nothing, and make no directory", () => {
    expect(merged([[file("nowhere/deeper/.wh.x", ""), file(".wh.y", "")]])).toEqual({});
    const error = { missingParents: "error" } as const;
    expect(merged([[file("nowhere/deeper/.wh.x", "")]], error)).toEqual({});
  });

  test("a device 0:0 is a device: OCI layers have other whiteouts", () => {
    const device = header({ name: "f", typeflag: "3" });
    expect(merged([lower, [device]])["/f"]).toBe("chardev");
  });

  test("what AUFS left behind does nothing", () => {
    expect(merged([[file(".wh..wh.aufs", ""), dir(".wh..wh.plnk")]])).toEqual({});
  });

  test.each([".wh.", ".wh..", ".wh..."])("refuse the name %s", (name) => {
    expect(refusal([[file(name, "")]])).toContain("whiteout of a name that no file can have");
  });

  test("are no directories", () => {
    expect(refusal([[file(".wh.d/x")]])).toContain("through a whiteout");
  });
});

describe("mergeLayers: hard links", () => {
  function groups(tree: Directory): string[][] {
    const byLeaf = new Map<unknown, string[]>();
    for (const { path, node } of walkTree(tree)) {
      if (node.kind === "directory") continue;
      const leaf = node.kind === "hardlink" ? node.target : node;
      byLeaf.set(leaf, [...(byLeaf.get(leaf) ?? []), path]);
      expect(leaf.nlink).toBeGreaterThan(0);
    }
    return [...byLeaf.values()];
  }
  const tree = (...layers: Buffer[][]): Directory =>
    mergeArchives(layers.map((each) => archive(...each)));

  test("share one file, which stands at its first name and counts its names", () => {
    const found = tree([dir("z"), file("z/target"), link("b", "z/target"), link("a", "/./b")]);
    expect(groups(found)).toEqual([["/a", "/b", "/z/target"]]);
    const first = found.entries.get(byteString("a"));
    expect(first).toMatchObject({ kind: "file", nlink: 3 });
  });

  test("reach into lower layers", () => {
    expect(groups(tree([file("a")], [link("b", "a")]))).toEqual([["/a", "/b"]]);
  });

  test("keep the old file when its other name gets a new one", () => {
    const upper = [link("b", "a"), file("a", "new")];
    expect(merged([[file("a", "old")], upper])).toEqual({ "/a": "new", "/b": "old" });
  });

  test.each([
    ["before", [file(".wh.a", ""), link("b", "a")]],
    ["after", [link("b", "a"), file(".wh.a", "")]],
  ])("keep a file whose lower name is hidden, with the whiteout %s", (_, upper) => {
    expect(merged([[file("a")], upper])).toEqual({ "/b": "a" });
  });

  test("follow a link to a lower layer through a second one", () => {
    expect(groups(tree([file("a")], [link("b", "a"), link("c", "b")]))).toEqual([
      ["/a", "/b", "/c"],
    ]);
  });

  test("to themselves change nothing", () => {
    expect(groups(tree([file("a"), link("a", "a")]))).toEqual([["/a"]]);
  });

  test.each([
    ["nothing", [link("b", "a")], "which is not there"],
    ["a later file of the same layer", [link("b", "a"), file("a")], "which is not there"],
    ["a directory", [dir("d"), link("b", "d")], "hard link to the directory"],
    ["the root", [link("b", "/")], "hard link to the directory"],
    ["a path with ..", [file("a"), link("b", "x/../a")], "path holds .."],
    ["a path through a file", [file("a"), link("b", "a/x")], 'through "/a", a file'],
    ["a path through a symlink", [symlink("s", "/"), link("b", "s/x")], 'through "/s", a symlink'],
  ])("refuse %s", (_, layer, reason) => {
    expect(refusal([layer])).toContain(reason);
  });

  test("refuse a directory, a symlink on the way and nothing in lower layers", () => {
    const lower = [dir("d"), symlink("s", "d"), file("d/x")];
    expect(refusal([lower, [link("b", "d")]])).toContain("hard link to the directory");
    expect(refusal([lower, [link("b", "s/x")]])).toContain('through "/s", a symlink');
    expect(refusal([lower, [link("b", "d/y")]])).toContain("which is not there");
  });
});

describe("mergeLayers: hostile paths", () => {
  test.each(["..", "../x", "a/../../x", "/..", "d/.."])("refuses the path %s", (name) => {
    expect(refusal([[dir("a"), dir("d"), file(name)]])).toContain("path holds ..");
  });

  test("refuses a path through a file or symlink of its own layer", () => {
    expect(refusal([[symlink("s", "/etc"), file("s/passwd")]])).toContain(
      'through "/s", a symlink',
    );
    expect(refusal([[file("f"), file("f/x")]])).toContain('through "/f", a file');
  });

  test("refuses a path through a file or symlink of a lower layer", () => {
    expect(refusal([[symlink("s", "/etc")], [file("s/passwd")]])).toContain(
      'through "/s", a symlink',
    );
    expect(refusal([[file("f")], [file("f/x/.wh.y", "")]])).toContain('through "/f", a file');
  });

  test("accepts a path through a directory that takes a symlink's place", () => {
    expect(merged([[symlink("s", "/etc")], [dir("s"), file("s/x")]])).toEqual({
      "/s": "directory",
      "/s/x": "s/x",
    });
  });

  test("refuses a name that no file system holds", () => {
    const long = pax([["path", "n".repeat(256)]]);
    expect(refusal([[long, header()]])).toContain("longer than 255 bytes");
  });

  test("leaves the target of a symlink alone: it is data", () => {
    const tree = mergeArchives([archive(symlink("s", "../../../etc/passwd"))]);
    expect(tree.entries.get(byteString("s"))).toMatchObject({ target: "../../../etc/passwd" });
  });

  test.each([
    ["directory to file", [dir("x"), file("x")], "as file after directory"],
    ["file to directory", [file("x"), dir("x")], "as directory after file"],
    ["file to symlink", [file("x"), symlink("x", "y")], "as symlink after file"],
    [
      "directory in a path to symlink",
      [file("x/y"), symlink("x", "y")],
      "as symlink after directory",
    ],
    ["directory to hard link", [file("f"), dir("x"), link("x", "f")], "as file after directory"],
  ])("refuses an entry that changes kind, from %s, unless told to replace", (_, layer, reason) => {
    expect(refusal([layer])).toContain(reason);
    expect(merged([layer], { kindChanges: "replace" })).toHaveProperty("/x");
  });

  test("forgets the directory that an entry replaced", () => {
    const layer = [dir("x"), file("x/a"), file("x", "file")];
    expect(merged([layer], { kindChanges: "replace" })).toEqual({ "/x": "file" });
    const through = [...layer, file("x/b")];
    expect(refusal([through], { kindChanges: "replace" })).toContain('through "/x", a file');
  });

  test("takes the later of two entries of one kind", () => {
    expect(merged([[file("f", "1"), link("g", "f"), file("f", "2")]])).toEqual({
      "/f": "2",
      "/g": "1",
    });
  });

  test("refuses a root that is no directory, and a device number Linux has not", () => {
    expect(refusal([[file("./")]])).toContain("root is not a directory");
    const device = header({ name: "d", typeflag: "3", devmajor: 4096 });
    expect(refusal([[device]])).toContain("device number 4096:0 is out of range");
  });

  test("counts directories that only stand in paths against the limit", () => {
    const deep = pax([["path", "a/".repeat(2000) + "f"]]);
    const limit = (maxNodes: number): Directory =>
      mergeArchives([archive(deep, header())], { maxNodes });
    expect(() => limit(2000)).toThrow(expect.objectContaining({ code: "layer-limit" }));
    expect([...walkTree(limit(2001))]).toHaveLength(2002);
  });

  test("counts whiteouts against the limit", () => {
    const builder = new LayerBuilder({ maxNodes: 2 });
    const hide = (name: string): void => {
      for (const entry of [byteString(`.wh.${name}`)]) {
        const stat = mergeArchives([]).stat;
        const content = { kind: "inline" as const, data: new Uint8Array(0) };
        builder.add({ kind: "leaf", path: entry, leaf: { kind: "file", stat, nlink: 1, content } });
      }
    };
    hide("a");
    hide("b");
    hide("a");
    expect(() => hide("c")).toThrow(expect.objectContaining({ code: "layer-limit" }));
  });
});

describe("mergeLayers: directories without an entry", () => {
  test("are made with plain metadata, unless they are below", () => {
    const tree = mergeArchives([archive(file("a/b/c"))]);
    expect(tree.entries.get(byteString("a"))).toMatchObject({
      kind: "directory",
      stat: { mode: 0o755, uid: 0, gid: 0, mtime: { sec: 0n, nsec: 0 } },
    });
    const lower = archive(dir("a", 5));
    const found = mergeArchives([lower, archive(file("a/x"))], { missingParents: "error" });
    expect((found.entries.get(byteString("a")) as Directory).stat.mtime.sec).toBe(5n);
  });

  test("may come after what is in them", () => {
    const tree = mergeArchives([archive(file("a/x"), dir("a", 5))], { missingParents: "error" });
    expect((tree.entries.get(byteString("a")) as Directory).stat.mtime.sec).toBe(5n);
  });

  test("are an error when told so, also where a whiteout hid them", () => {
    const options = { missingParents: "error" } as const;
    expect(refusal([[file("a/x")]], options)).toContain('"/a"');
    const hidden = [[dir("a")], [file(".wh.a", ""), file("a/x")]];
    expect(refusal(hidden, options)).toContain("in no layer");
    expect(merged(hidden)).toEqual({ "/a": "directory", "/a/x": "a/x" });
  });
});

describe("canonicalizeRootfs", () => {
  const parse = (text: string): Directory => parseDump(Buffer.from(text));
  const dump = (tree: Directory): string => [...formatDump(tree)].join("");
  const TREE = parse(`/ 0 40700 5 1 1 0 1.1 - - - user.root=x
/run 0 40711 3 2 2 0 2.2 - - - user.run=x security.capability=c
/run/a 1 100644 2 0 0 0 0.0 - A -
/run/sub 0 40755 2 0 0 0 0.0 - - -
/usr 0 40755 2 3 3 0 3.3 - - - security.selinux=s user.usr=u security.capability=c
/usr/b 0 @100644 2 0 0 0 0.0 /run/a - -
/usr/c 0 @100644 2 0 0 0 0.0 /run/a - -
`);

  test("gives the root what /usr has, empties /run and keeps one xattr", () => {
    expect(dump(canonicalizeRootfs(TREE))).toBe(`/ 0 40755 4 3 3 0 3.3 - - - security.capability=c
/run 0 40711 2 2 2 0 3.3 - - - security.capability=c
/usr 0 40755 2 3 3 0 3.3 - - - security.capability=c
/usr/b 1 100644 2 0 0 0 0.0 - A -
/usr/c 1 @100644 2 0 0 0 0.0 /usr/b A -
`);
  });

  test("keeps user xattrs when told to", () => {
    const { xattrs } = canonicalizeRootfs(TREE, { keepUserXattrs: true }).stat;
    expect([...xattrs.keys()]).toEqual(["user.usr", "security.capability"]);
  });

  test("changes neither its argument nor what is canonical already", () => {
    const before = dump(TREE);
    const once = canonicalizeRootfs(TREE);
    expect(dump(TREE)).toBe(before);
    expect(dump(canonicalizeRootfs(once))).toBe(dump(once));
  });

  test("leaves a /run that is no directory alone", () => {
    const tree = parse(
      "/ 0 40755 3 0 0 0 0.0 - - -\n/run 3 120777 1 0 0 0 0.0 usr - -\n/usr 0 40755 2 0 0 0 0.0 - - -\n",
    );
    expect(canonicalizeRootfs(tree).entries.get(byteString("run"))?.kind).toBe("symlink");
  });

  test.each([
    ["is not there", "/ 0 40755 2 0 0 0 0.0 - - -\n"],
    ["is a symlink", "/ 0 40755 2 0 0 0 0.0 - - -\n/usr 1 120777 1 0 0 0 0.0 x - -\n"],
  ])("refuses a tree whose /usr %s", (state, text) => {
    expect(() => canonicalizeRootfs(parse(text))).toThrow(
      expect.objectContaining({
        code: "incomplete-rootfs",
        message: `Cannot make the canonical tree of an image: "/usr" ${state}`,
      }),
    );
  });

  const BOOTABLE = `/ 0 40755 5 0 0 0 0.0 - - -
/boot 0 40700 2 0 0 0 1.11 - - -
/boot/vmlinuz 1 100644 1 0 0 0 0.0 - k -
/sysroot 0 40755 2 0 0 0 2.22 - - -
/usr 0 40755 2 0 0 0 3.33 - - -
`;

  test("canonicalizeBootableRootfs: empties /boot and /sysroot, and sets their seconds alone", () => {
    expect(dump(canonicalizeBootableRootfs(parse(BOOTABLE)))).toBe(`/ 0 40755 5 0 0 0 0.0 - - -
/boot 0 40700 2 0 0 0 3.11 - - -
/sysroot 0 40755 2 0 0 0 3.22 - - -
/usr 0 40755 2 0 0 0 3.33 - - -
`);
  });

  test.each(["boot", "sysroot", "usr"])(
    "canonicalizeBootableRootfs: refuses a tree without /%s",
    (name) => {
      const text = BOOTABLE.split("\n")
        .filter((line) => !line.startsWith(`/${name}`))
        .join("\n");
      expect(() => canonicalizeBootableRootfs(parse(text))).toThrow(`"/${name}" is not there`);
    },
  );
});
