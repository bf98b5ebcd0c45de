/**
 * One layer as a tree of changes: what it adds, and what it hides of the layers below.
 *
 * The order of the entries inside the layer does not matter for what is hidden: a whiteout and an
 * opaque directory act on the layers below, never on the layer they stand in.
 *
 * Source: OCI image specification 1.1, layer.md, "Applying Changesets" and "Whiteouts".
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { ComposefsError } from "../errors.ts";
import type { Leaf, Stat } from "../tree/node.ts";
import { invalidLayer } from "./layer-entry.ts";
import type { LayerEntry } from "./layer-entry.ts";
import { joinLayerPath, splitLayerPath } from "./path.ts";

/** A directory of a layer. */
export interface LayerDirectory {
  readonly kind: "directory";
  /** `undefined` for one that the layer only passes through: a directory below must be there. */
  readonly stat: Stat | undefined;
  /** Nothing of the layers below is in it. */
  readonly isOpaque: boolean;
  /** Names of the layers below that are not in it. */
  readonly whiteouts: ReadonlySet<ByteString>;
  readonly entries: ReadonlyMap<ByteString, LayerNode>;
  /** Nothing in it, however deep, adds a file or directory: where there is nothing below, it is nothing. */
  readonly onlyHides: boolean;
}

/** A hard link to a file of the layers below, as they are without this layer. */
export interface LowerLink {
  readonly kind: "lower-link";
  /** Names on the way to it. */
  readonly target: readonly ByteString[];
}

/** What a name in a layer holds. Hard links inside a layer are names that hold the same leaf. */
export type LayerNode = LayerDirectory | Leaf | LowerLink;

/** Options of {@link LayerBuilder}. */
export interface LayerOptions {
  /** Most files, directories and whiteouts, with the directories that only stand in paths. */
  readonly maxNodes?: number;
  /**
   * What a second entry of a path does that changes its kind, say from directory to symlink: an error
   * unless told, as no tool that makes layers writes one. With "replace" the later entry counts, as in tar.
   */
  readonly kindChanges?: "error" | "replace";
}

interface OpenDirectory extends LayerDirectory {
  stat: Stat | undefined;
  isOpaque: boolean;
  readonly whiteouts: Set<ByteString>;
  readonly entries: Map<ByteString, LayerNode>;
  onlyHides: boolean;
}

const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_WHITEOUT = ".wh..wh..opq";
/** What AUFS kept for itself; never meant for the image. */
const AUFS_PREFIX = ".wh..wh.";
const DEFAULT_MAX_NODES = 4_000_000;

/** Takes the entries of a layer in their order and gives its tree. */
export class LayerBuilder {
  readonly #root = openDirectory();
  readonly #maxNodes: number;
  readonly #replaces: boolean;
  #nodes = 0;
  /** The directory of the entry before: the next is mostly in the same one. */
  #lastParent: { readonly path: string; readonly directory: OpenDirectory } | undefined;

  constructor(options: LayerOptions = {}) {
    this.#maxNodes = options.maxNodes ?? DEFAULT_MAX_NODES;
    this.#replaces = options.kindChanges === "replace";
  }

  /** Adds an entry. Throws `invalid-layer` and `layer-limit`. */
  add(entry: LayerEntry): void {
    const names = splitLayerPath(entry.path);
    const name = names.pop();
    if (name === undefined) return this.#setRoot(entry);
    const parent = this.#parent(entry.path, names);
    if (name.startsWith(WHITEOUT_PREFIX)) return this.#hide(parent, name, entry.path);
    const known = parent.entries.get(name);
    switch (entry.kind) {
      case "directory":
        if (known?.kind === "directory") {
          (known as OpenDirectory).stat = entry.stat;
          return;
        }
        this.#put(parent, name, { ...openDirectory(), stat: entry.stat }, entry.path);
        return;
      case "leaf":
        this.#put(parent, name, entry.leaf, entry.path);
        return;
      case "hardlink":
        this.#put(parent, name, this.#linked(entry.path, entry.target), entry.path);
    }
  }

  /** Returns the tree. The builder must not be used afterwards. */
  finish(): LayerDirectory {
    markWhatOnlyHides(this.#root);
    return this.#root;
  }

  #setRoot(entry: LayerEntry): void {
    if (entry.kind !== "directory") throw invalidLayer(entry.path, "root is not a directory");
    this.#root.stat = entry.stat;
  }

  #put(parent: OpenDirectory, name: ByteString, node: LayerNode, path: ByteString): void {
    const known = parent.entries.get(name);
    if (known === undefined) {
      this.#count();
    } else if (changesKind(known, node)) {
      if (!this.#replaces) {
        throw invalidLayer(path, `comes a second time, as ${node.kind} after ${known.kind}`);
      }
      // It may be, or lie in, the directory that is replaced.
      this.#lastParent = undefined;
    }
    parent.entries.set(name, node);
  }

  #count(): void {
    if (++this.#nodes > this.#maxNodes) {
      throw new ComposefsError(
        "layer-limit",
        `Cannot use layer: more than ${this.#maxNodes} files`,
        {
          hint: "raise the limit if you trust the image",
        },
      );
    }
  }

  #hide(parent: OpenDirectory, name: ByteString, path: ByteString): void {
    if (name === OPAQUE_WHITEOUT) {
      parent.isOpaque = true;
      return;
    }
    if (name.startsWith(AUFS_PREFIX)) return;
    const hidden = name.slice(WHITEOUT_PREFIX.length) as ByteString;
    if (hidden === "" || hidden === "." || hidden === "..") {
      throw invalidLayer(path, "whiteout of a name that no file can have");
    }
    if (!parent.whiteouts.has(hidden)) this.#count();
    parent.whiteouts.add(hidden);
  }

  #parent(path: ByteString, names: readonly ByteString[]): OpenDirectory {
    const key = names.join("/");
    if (this.#lastParent?.path === key) return this.#lastParent.directory;
    let directory = this.#root;
    for (const [depth, name] of names.entries()) {
      if (name.startsWith(WHITEOUT_PREFIX))
        throw invalidLayer(path, "path goes through a whiteout");
      let next = directory.entries.get(name);
      if (next === undefined) {
        this.#count();
        next = openDirectory();
        directory.entries.set(name, next);
      }
      if (next.kind !== "directory") throw throughLeaf(path, names.slice(0, depth + 1), next.kind);
      directory = next as OpenDirectory;
    }
    this.#lastParent = { path: key, directory };
    return directory;
  }

  /** What a hard link holds: the leaf of its target, from this layer as it is so far or from below. */
  #linked(path: ByteString, targetPath: ByteString): Leaf | LowerLink {
    const target = splitLayerPath(targetPath);
    let node: LayerNode | undefined = this.#root;
    for (const [depth, name] of target.entries()) {
      if (node.kind !== "directory") throw throughLeaf(path, target.slice(0, depth), node.kind);
      node = node.entries.get(name);
      if (node === undefined) return { kind: "lower-link", target };
    }
    if (node.kind === "directory") {
      throw invalidLayer(path, `hard link to the directory "${joinLayerPath(target)}"`);
    }
    return node;
  }
}

/** What a link to a layer below leads to is not known yet, but it is no directory. */
function changesKind(before: LayerNode, after: LayerNode): boolean {
  if (before.kind === after.kind) return false;
  const isUnknown = before.kind === "lower-link" || after.kind === "lower-link";
  return !isUnknown || before.kind === "directory" || after.kind === "directory";
}

/** The error for a path that needs a directory where something else is. Symlinks are not followed. */
export function throughLeaf(
  path: ByteString,
  names: readonly ByteString[],
  kind: string,
): ComposefsError {
  return invalidLayer(path, `path goes through "${joinLayerPath(names)}", a ${kind}`);
}

function openDirectory(): OpenDirectory {
  return {
    kind: "directory",
    stat: undefined,
    isOpaque: false,
    whiteouts: new Set(),
    entries: new Map(),
    onlyHides: false,
  };
}

function markWhatOnlyHides(root: OpenDirectory): void {
  const directories = [root];
  // The list grows while it is walked: parents come before what they hold.
  for (const directory of directories) {
    for (const node of directory.entries.values()) {
      if (node.kind === "directory") directories.push(node as OpenDirectory);
    }
  }
  for (const directory of directories.reverse()) {
    const { stat, entries } = directory;
    const hides = (node: LayerNode): boolean => node.kind === "directory" && node.onlyHides;
    directory.onlyHides = stat === undefined && [...entries.values()].every(hides);
  }
}
