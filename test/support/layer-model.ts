/**
 * Random layer stacks, and a second way to merge them: flat maps of paths, each layer applied entry by
 * entry, the tree written as a dump. Nothing here is shared with `core/oci`.
 */

import * as fc from "fast-check";
import { computeFsVerityDigest, encodeTarHeader, tarPadding } from "#src/core/mod.ts";
import type { ByteString, FsVerityAlgorithm, TarEntryKind } from "#src/core/mod.ts";
import { nodeHash } from "./hash.ts";

/** One entry of a layer to be. */
interface Operation {
  readonly kind: TarEntryKind | "whiteout" | "opaque";
  /** Names, of which at least one. */
  readonly names: readonly string[];
  readonly mode: number;
  readonly id: number;
  readonly sec: number;
  readonly nsec: number;
  readonly size: number;
  readonly xattrs: readonly (readonly [string, string])[];
  /** Of a hard link: which of the files that are there by then. */
  readonly pick: number;
}

/** An inode of the model; names of one file hold the same object. */
interface Inode {
  readonly operation: Operation;
}

/** Paths without a slash in front; the root is not in it. */
type Tree = ReadonlyMap<string, Inode>;

/** A layer that makes sense on top of those below it. */
export interface ModelLayer {
  /** Whiteouts and opaque directories first: what other tools expect. */
  readonly archive: Buffer;
  /** The same entries with the whiteouts last. */
  readonly shuffled: Buffer;
  readonly text: string;
}

/** A stack and the dump of what it comes to, in the canonical form. */
export interface ModelStack {
  readonly layers: readonly ModelLayer[];
  readonly dump: (algorithm: FsVerityAlgorithm) => string;
  /** `/run` is there and no directory: composefs-rs has no canonical tree for that. */
  readonly hasOddRun: boolean;
  /** What fast-check prints of it. */
  readonly [fc.toStringMethod]: () => string;
}

const name = fc.constantFrom("a", "b", "c", "usr", "run", "\xff");

const anyOperation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom<Operation["kind"]>(
    "directory",
    "directory",
    "directory",
    "file",
    "file",
    "hardlink",
    "symlink",
    "fifo",
    "chardev",
    "whiteout",
    "whiteout",
    "opaque",
  ),
  names: fc.array(name, { minLength: 1, maxLength: 4 }),
  mode: fc.constantFrom(0o644, 0o755, 0o4711),
  id: fc.constantFrom(0, 1, 1000, 70_000, 4_294_967_295),
  sec: fc.constantFrom(0, 1, 1_234_567_890, 2 ** 33),
  nsec: fc.constantFrom(0, 0, 5, 999_999_999),
  size: fc.constantFrom(0, 1, 63, 64, 65, 512, 5000),
  xattrs: fc.subarray([
    ["security.capability", "\x01\x00\x00\x02\xff"],
    ["security.selinux", "label"],
    ["user.a", "value"],
  ] as const),
  pick: fc.nat(1000),
});

const BASE: Operation = {
  kind: "directory",
  names: ["usr"],
  mode: 0o755,
  id: 0,
  sec: 1_000_000_000,
  nsec: 7,
  size: 0,
  xattrs: [["user.a", "of usr"]],
  pick: 0,
};

/** Stacks of up to five layers. */
export const randomStack: fc.Arbitrary<ModelStack> = fc
  .array(fc.array(anyOperation, { maxLength: 25 }), { minLength: 1, maxLength: 5 })
  .map((layers) => {
    let tree: Tree = new Map();
    const made = layers.map((operations, index) => {
      const applied = applyLayer(tree, index === 0 ? [BASE, ...operations] : operations);
      tree = applied.tree;
      return applied.layer;
    });
    const final = tree;
    return {
      layers: made,
      dump: (algorithm) => dumpOf(final, algorithm),
      hasOddRun: final.has("run") && !isDirectory(final, "run"),
      [fc.toStringMethod]: () => made.map(({ text }) => text).join("\n\n"),
    };
  });

/** Entries of any sense or none: `mergeLayers` may refuse them. */
export const randomArchives: fc.Arbitrary<Buffer[]> = fc.array(
  fc.array(anyOperation, { maxLength: 25 }).map((operations) => {
    const target = operations.find(({ kind }) => kind === "file")?.names.join("/") ?? "nowhere";
    return archiveOf(operations.map((each) => encode(each, target)));
  }),
  { minLength: 1, maxLength: 4 },
);

/** Applies what makes sense of a layer. */
function applyLayer(
  lower: Tree,
  operations: readonly Operation[],
): { tree: Tree; layer: ModelLayer } {
  const tree = new Map(lower);
  const hiding: Buffer[] = [];
  const adding: Buffer[] = [];
  const text: string[] = [];
  /** Paths of entries, and directories that must stay directories because there are whiteouts in them. */
  const touched = new Set<string>();
  for (const each of operations) {
    if (each.kind !== "whiteout" && each.kind !== "opaque") continue;
    const path = each.names.join("/");
    const directory =
      each.kind === "opaque" ? path : path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (!isDirectory(tree, directory)) continue;
    removeBelow(tree, path);
    if (each.kind === "whiteout") tree.delete(path);
    hiding.push(encode(each, ""));
    text.push(`${each.kind} ${path}`);
    touched.add(`${directory}/.wh.`);
  }
  for (const each of operations) {
    if (each.kind === "whiteout" || each.kind === "opaque") continue;
    const path = each.names.join("/");
    if (
      touched.has(path) ||
      !isDirectory(tree, path.slice(0, Math.max(0, path.lastIndexOf("/"))))
    ) {
      continue;
    }
    if (each.kind === "directory") {
      tree.set(path, { operation: each });
      adding.push(encode(each, ""));
    } else {
      if ([...touched].some((other) => other.startsWith(`${path}/`))) continue;
      const files = [...tree].filter(
        ([other, { operation: of }]) =>
          of.kind !== "directory" && other !== path && !other.startsWith(`${path}/`),
      );
      const target = files[each.pick % Math.max(1, files.length)];
      if (each.kind === "hardlink" && target === undefined) continue;
      removeBelow(tree, path);
      tree.set(path, each.kind === "hardlink" ? target![1] : { operation: each });
      adding.push(encode(each, target?.[0] ?? ""));
    }
    touched.add(path);
    text.push(`${each.kind} ${path}`);
  }
  const layer = {
    text: text.join("\n"),
    archive: archiveOf([...hiding, ...adding]),
    shuffled: archiveOf([...adding, ...hiding]),
  };
  return { tree, layer };
}

function isDirectory(tree: Tree, path: string): boolean {
  return path === "" || tree.get(path)?.operation.kind === "directory";
}

function removeBelow(tree: Map<string, Inode>, path: string): void {
  for (const other of tree.keys()) if (other.startsWith(`${path}/`)) tree.delete(other);
}

function archiveOf(members: readonly Buffer[]): Buffer {
  return Buffer.concat([...members, Buffer.alloc(1024)]);
}

function encode(each: Operation, target: string): Buffer {
  const { kind, names, size } = each;
  const isMark = kind === "whiteout" || kind === "opaque";
  const directory = names.slice(0, kind === "opaque" ? undefined : -1).join("/");
  const last = kind === "opaque" ? ".wh..wh..opq" : `.wh.${names.at(-1)}`;
  const content = kind === "file" ? Buffer.alloc(size, size) : Buffer.alloc(0);
  const head = encodeTarHeader({
    kind: isMark ? "file" : kind,
    path: (isMark ? `${directory}/${last}`.replace(/^\//, "") : names.join("/")) as ByteString,
    linkPath: (kind === "hardlink"
      ? target
      : kind === "symlink"
        ? `to/${each.id}`
        : "") as ByteString,
    mode: each.mode,
    uid: each.id,
    gid: each.id,
    uname: "" as ByteString,
    gname: "" as ByteString,
    mtime: { sec: BigInt(each.sec), nsec: each.nsec },
    size: content.length,
    major: kind === "chardev" ? 4 : 0,
    minor: kind === "chardev" ? 300 : 0,
    xattrs: new Map(
      each.xattrs.map(([key, value]) => [key as ByteString, Buffer.from(value, "latin1")]),
    ),
  });
  return Buffer.concat([head, content, Buffer.alloc(tarPadding(content.length))]);
}

const escape = (text: string): string =>
  [...Buffer.from(text, "latin1")]
    .map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`)
    .join("");

const escapePath = (path: string): string => `/${path.split("/").map(escape).join("/")}`;

/** The canonical tree as a dump: `/` like `/usr`, `/run` empty, one xattr. */
function dumpOf(tree: Tree, algorithm: FsVerityAlgorithm): string {
  const usr = tree.get("usr");
  if (usr?.operation.kind !== "directory") return "";
  const first = new Map<Inode, string>();
  const lines = [line("/", usr.operation, "-", "-", "-", 0)];
  // With the slash as the lowest byte, the order of the paths is that of the walk.
  const paths = [...tree.keys()].sort((a, b) =>
    a.replaceAll("/", "\0") < b.replaceAll("/", "\0") ? -1 : 1,
  );
  const kept = paths.filter((path) => !(path.startsWith("run/") && isDirectory(tree, "run")));
  for (const path of kept) {
    const inode = tree.get(path)!;
    const linked = first.get(inode);
    if (linked !== undefined) {
      lines.push(`${escapePath(path)} 0 @120000 - - - - 0.0 ${escapePath(linked)} - -`);
      continue;
    }
    first.set(inode, path);
    const names = kept.filter((other) => tree.get(other) === inode).length;
    lines.push(inodeLine(path, inode.operation, names, usr.operation, algorithm));
  }
  return lines.map((each) => `${each}\n`).join("");
}

function inodeLine(
  path: string,
  operation: Operation,
  nlink: number,
  usr: Operation,
  algorithm: FsVerityAlgorithm,
): string {
  const shown = escapePath(path);
  switch (operation.kind) {
    case "directory": {
      const { sec, nsec } = path === "run" ? usr : operation;
      return line(shown, { ...operation, sec, nsec }, "-", "-", "-", 0);
    }
    case "file": {
      const { size } = operation;
      const data = Buffer.alloc(size, size);
      if (size === 0) return line(shown, operation, "-", "-", "-", nlink);
      if (size <= 64)
        return line(shown, operation, "-", escape(data.toString("latin1")), "-", nlink);
      const digest = computeFsVerityDigest(data, nodeHash(algorithm));
      return line(shown, operation, `${digest.slice(0, 2)}/${digest.slice(2)}`, "-", digest, nlink);
    }
    case "symlink":
      return line(shown, operation, `to/${operation.id}`, "-", "-", nlink);
    default:
      return line(shown, operation, "-", "-", "-", nlink);
  }
}

const TYPES: Readonly<Record<string, number>> = {
  directory: 0o40000,
  file: 0o100000,
  symlink: 0o120000,
  fifo: 0o10000,
  chardev: 0o20000,
};

function line(
  path: string,
  operation: Operation,
  payload: string,
  content: string,
  digest: string,
  nlink: number,
): string {
  const { kind, mode, id, sec, nsec, size, xattrs } = operation;
  const shownSize = kind === "file" ? size : kind === "symlink" ? payload.length : 0;
  const type = (TYPES[kind]! | mode).toString(8);
  // 4:300 in the kernel's 32-bit encoding.
  const rdev = kind === "chardev" ? (300 & 0xff) | (4 << 8) | ((300 & ~0xff) << 12) : 0;
  const kept = xattrs.filter(([key]) => key === "security.capability");
  const shownXattrs = kept.map(([key, value]) => ` ${key}=${escape(value)}`).join("");
  return `${path} ${shownSize} ${type} ${nlink} ${id} ${id} ${rdev} ${sec}.${nsec} ${payload} ${content} ${digest}${shownXattrs}`;
}
