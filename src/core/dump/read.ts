/**
 * A dump to a tree: lines in any order in which a directory comes before what it holds.
 */

import { displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { DumpError } from "../errors.ts";
import type { Directory, HardLink, Leaf, Node, Stat } from "../tree/node.ts";
import { LineParser, decodeDumpText } from "./line.ts";
import type { DumpLine } from "./line.ts";

/** Options of {@link DumpParser} and {@link parseDump}. */
export interface DumpOptions {
  /** As `CFS_PARSE_STRICT` of C: devices, symlink sizes and the last line end are checked too. */
  readonly strict?: boolean;
}

interface OpenDirectory extends Directory {
  readonly entries: Map<ByteString, Node>;
}

/** Stands in an entry for a hard link until all lines are read and its target can be found. */
interface PendingLink extends HardLink {
  target: Leaf;
  readonly line: number;
  readonly parent: OpenDirectory;
  readonly name: ByteString;
  readonly targetPath: ByteString;
  state: "unresolved" | "visiting" | "resolved";
}

/** Takes a dump in pieces of any size and gives a tree. */
export class DumpParser {
  readonly #strict: boolean;
  readonly #lines: LineParser;
  readonly #links: PendingLink[] = [];
  #root: OpenDirectory | undefined;
  #partial = "";
  #line = 0;
  /** Directories by the path that their line gave, which is how the lines of their entries begin. */
  readonly #directories = new Map<string, OpenDirectory>();
  #lastParent: { path: string; directory: OpenDirectory } | undefined;

  constructor(options: DumpOptions = {}) {
    this.#strict = options.strict ?? false;
    this.#lines = new LineParser(this.#strict);
  }

  /** Takes the next bytes; nothing is kept of `chunk`. Throws DumpError. */
  push(chunk: Uint8Array): void {
    const text = decodeDumpText(chunk);
    let end = text.indexOf("\n");
    if (end >= 0) {
      this.#take(this.#partial + text.slice(0, end));
      this.#partial = "";
    }
    let at = end + 1;
    for (end = text.indexOf("\n", at); end >= 0; end = text.indexOf("\n", at)) {
      this.#take(text.slice(at, end));
      at = end + 1;
    }
    this.#partial += text.slice(at);
  }

  /** Returns the tree. Throws DumpError for a dump that is not whole. */
  finish(): Directory {
    if (this.#partial !== "") {
      if (this.#strict) throw new DumpError(this.#line + 1, "line", "Missing trailing newline");
      this.#take(this.#partial);
    }
    if (this.#root === undefined) throw new DumpError(0, "line", "No files in dump file");
    this.#resolveLinks(this.#root);
    return this.#root;
  }

  #take(text: string): void {
    this.#line++;
    this.add(this.#lines.parse(text, this.#line), this.#line);
  }

  /** Adds one parsed line; `number` is for errors. Throws DumpError. */
  add(line: DumpLine, number: number): void {
    if (line.path === "/") return this.#addRoot(line, number);
    if (this.#root === undefined) throw new DumpError(number, "path", "Root node not present");
    const slash = line.path.lastIndexOf("/");
    const name = line.path.slice(slash + 1) as ByteString;
    const parent = this.#parent(this.#root, line.path, slash, number);
    if (name === "." || name === "..") {
      throw new DumpError(number, "path", `Invalid . or .. in path: ${displayText(line.path)}`);
    }
    if (name === "" || name.length > 255) {
      throw new DumpError(number, "path", "Can't add child", "a name has 1 to 255 bytes");
    }
    const before = parent.entries.size;
    switch (line.kind) {
      case "directory":
        this.#addDirectory(parent, name, line);
        break;
      case "leaf":
        parent.entries.set(name, line.leaf);
        break;
      case "hardlink":
        this.#addLink(parent, name, line.target, number);
    }
    // Looked at afterwards, because a name is then looked up once. The tree is lost, as with every error.
    if (parent.entries.size === before) {
      throw new DumpError(number, "path", `Path ${displayText(line.path)} already exist`);
    }
  }

  #addRoot(line: DumpLine, number: number): void {
    if (line.kind !== "directory") throw new DumpError(number, "mode", "Root must be a directory");
    if (this.#root !== undefined) throw new DumpError(number, "path", "Can't have multiple roots");
    this.#root = openDirectory(line.stat);
  }

  #parent(root: OpenDirectory, path: ByteString, slash: number, number: number): OpenDirectory {
    const parentPath = slash < 0 ? "" : path.slice(0, slash);
    if (this.#lastParent?.path === parentPath) return this.#lastParent.directory;
    const parent = this.#directories.get(parentPath) ?? lookup(root, parentPath);
    if (parent === undefined) {
      throw new DumpError(number, "path", `Parent directory missing for ${displayText(path)}`);
    }
    if (parent.kind !== "directory") {
      throw new DumpError(number, "path", `Parent must be a directory for ${displayText(path)}`);
    }
    const directory = parent as OpenDirectory;
    this.#lastParent = { path: parentPath, directory };
    return directory;
  }

  #addDirectory(
    parent: OpenDirectory,
    name: ByteString,
    { path, stat }: { readonly path: ByteString; readonly stat: Stat },
  ): void {
    const directory = openDirectory(stat);
    parent.entries.set(name, directory);
    this.#directories.set(path, directory);
  }

  #addLink(parent: OpenDirectory, name: ByteString, targetPath: ByteString, line: number): void {
    const link: PendingLink = {
      kind: "hardlink",
      target: undefined as unknown as Leaf,
      line,
      parent,
      name,
      targetPath,
      state: "unresolved",
    };
    parent.entries.set(name, link);
    this.#links.push(link);
  }

  #resolveLinks(root: OpenDirectory): void {
    for (const link of this.#links) resolveChain(root, link);
    for (const { parent, name, target } of this.#links) {
      parent.entries.set(name, { kind: "hardlink", target });
    }
  }
}

/** Finds the leaf behind a link, and behind each link on the way: every link is followed once. */
function resolveChain(root: Directory, first: PendingLink): void {
  const chain: PendingLink[] = [];
  let link = first;
  while (link.state === "unresolved") {
    link.state = "visiting";
    chain.push(link);
    const node = lookup(root, link.targetPath);
    if (node === undefined) {
      throw new DumpError(
        link.line,
        "payload",
        `No target at ${displayText(link.targetPath)} for hardlink`,
      );
    }
    if (node.kind === "directory") {
      throw new DumpError(link.line, "payload", "Directories can't be hardlinked");
    }
    if (node.kind !== "hardlink") {
      for (const each of chain) finishLink(each, node);
      return;
    }
    link = node as PendingLink;
  }
  if (link.state === "visiting") {
    const shown = displayText(link.targetPath);
    const reason =
      chain.length === 1 ? `Self-referential hardlink ${shown}` : `Hardlink cycle at ${shown}`;
    throw new DumpError(link.line, "payload", reason);
  }
  for (const each of chain) finishLink(each, link.target);
}

function finishLink(link: PendingLink, target: Leaf): void {
  link.target = target;
  link.state = "resolved";
}

/** Parses a whole dump. Throws DumpError. */
export function parseDump(bytes: Uint8Array, options: DumpOptions = {}): Directory {
  const parser = new DumpParser(options);
  // In pieces, so that the text of a large dump is never in memory twice.
  const piece = 1 << 20;
  for (let at = 0; at < bytes.length; at += piece) parser.push(bytes.subarray(at, at + piece));
  return parser.finish();
}

function openDirectory(stat: Stat): OpenDirectory {
  return { kind: "directory", stat, entries: new Map() };
}

/** Finds a node by path; slashes at the ends and repeated ones do not count. */
function lookup(root: Directory, path: string): Node | undefined {
  let node: Node | undefined = root;
  for (const name of path.split("/")) {
    if (name === "") continue;
    if (node?.kind !== "directory") return undefined;
    node = node.entries.get(name as ByteString);
  }
  return node;
}
