/**
 * What can be booted in a root file system, in the order of composefs-rs: entries in /boot/loader/entries,
 * unified kernel images below /boot/EFI/Linux, /boot/loader/addons and /usr/lib/modules, and kernels there.
 */

import { displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { BootEntryFile } from "../../../../core/boot/mod.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import { resolveLink, sortedEntries } from "../../../../core/tree/node.ts";
import type { Directory, FileContent, Leaf, Node } from "../../../../core/tree/node.ts";

/** A kernel with a file that says how it is booted. Texts are byte strings. */
export interface Type1Entry {
  readonly kind: "type1";
  /** `NAME.conf`. */
  readonly name: string;
  readonly file: BootEntryFile;
  /** Files by the paths that the entry has them by. */
  readonly files: ReadonlyMap<string, FileContent>;
}

/** A unified kernel image. */
export interface Type2Entry {
  readonly kind: "type2";
  /** Below EFI/Linux. */
  readonly path: string;
  readonly content: FileContent;
}

/** A kernel beside its modules, which has no entry yet. */
export interface ModulesEntry {
  readonly kind: "modules";
  readonly version: string;
  readonly kernel: FileContent;
  readonly initramfs: FileContent | undefined;
}

export type BootEntry = Type1Entry | Type2Entry | ModulesEntry;

/** Finds all entries. Throws `invalid-tree` where one lacks what it needs. */
export function findBootEntries(
  root: Directory,
  read: (content: FileContent) => Uint8Array,
): BootEntry[] {
  return [...type1Entries(root, read), ...type2Entries(root), ...modulesEntries(root)];
}

function* type1Entries(
  root: Directory,
  read: (content: FileContent) => Uint8Array,
): Generator<Type1Entry> {
  const path = "/boot/loader/entries";
  for (const [name, node] of entriesIn(root, path)) {
    if (!name.endsWith(".conf")) continue;
    const text = Buffer.from(read(contentOf(node, `${path}/${name}`))).toString("latin1");
    const file = new BootEntryFile(text);
    const files = new Map<string, FileContent>();
    for (const each of file.filePaths()) files.set(each, findFile(root, each));
    yield { kind: "type1", name, file, files };
  }
}

function* type2Entries(root: Directory): Generator<Type2Entry> {
  for (const path of ["/boot/EFI/Linux", "/boot/loader/addons"]) {
    const directory = findDirectory(root, path);
    if (directory !== undefined) yield* efiFiles(directory, "");
  }
  for (const [, node] of entriesIn(root, "/usr/lib/modules")) {
    if (node.kind === "directory") yield* efiFiles(node, "");
  }
}

function* efiFiles(directory: Directory, prefix: string): Generator<Type2Entry> {
  for (const [name, node] of sortedEntries(directory)) {
    const path = `${prefix}${name}`;
    if (node.kind === "directory") yield* efiFiles(node, `${path}/`);
    else if (name.endsWith(".efi")) yield { kind: "type2", path, content: contentOf(node, path) };
  }
}

function* modulesEntries(root: Directory): Generator<ModulesEntry> {
  for (const [version, node] of entriesIn(root, "/usr/lib/modules")) {
    if (node.kind !== "directory") continue;
    const kernel = regular(node.entries.get("vmlinuz" as ByteString));
    const initramfs = regular(node.entries.get("initramfs.img" as ByteString));
    if (kernel !== undefined) yield { kind: "modules", version, kernel, initramfs };
  }
}

function entriesIn(root: Directory, path: string): Iterable<[ByteString, Node]> {
  const directory = findDirectory(root, path);
  return directory === undefined ? [] : sortedEntries(directory);
}

function findDirectory(root: Directory, path: string): Directory | undefined {
  let directory = root;
  for (const name of path.split("/").filter((part) => part !== "") as ByteString[]) {
    const node = directory.entries.get(name);
    if (node === undefined) return undefined;
    if (node.kind !== "directory") throw unusable(path, `"${displayText(name)}" is no directory`);
    directory = node;
  }
  return directory;
}

function findFile(root: Directory, path: string): FileContent {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".") as ByteString[];
  const name = parts.pop();
  if (name === undefined || name === ".." || parts.includes(".." as ByteString)) {
    throw unusable(path, "it is no path of a file in an image");
  }
  return contentOf(findDirectory(root, parts.join("/"))?.entries.get(name), path);
}

function contentOf(node: Node | undefined, path: string): FileContent {
  const content = regular(node);
  if (content !== undefined) return content;
  throw unusable(path, node === undefined ? "it is not there" : "it is no regular file");
}

function regular(node: Node | undefined): FileContent | undefined {
  if (node === undefined || node.kind === "directory") return undefined;
  const leaf = resolveLink(node) as Leaf;
  return leaf.kind === "file" ? leaf.content : undefined;
}

function unusable(path: string, reason: string): ComposefsError {
  const shown = displayText(path as ByteString);
  return new ComposefsError("invalid-tree", `Cannot boot by "${shown}" of the image: ${reason}`);
}
