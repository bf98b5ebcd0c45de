/**
 * Labels for a tree: each file gets the `security.selinux` that the tree's own policy gives to its path.
 *
 * Source: composefs-rs 0.9, composefs-boot, because the labels of bootable images are in their digests.
 * Its results are kept where libselinux has others: a substitution counts only for the very path that it
 * names and then for what is below; a rule of `.homedirs` beats one of `.local`.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { bytesOf } from "../bytes/byte-string.ts";
import { relinkTree } from "../oci/relink.ts";
import { resolveLink, sortedEntries } from "../tree/node.ts";
import type { Directory, Leaf, Node, NodeKind, Stat, Xattrs } from "../tree/node.ts";
import type { MatchState } from "./automaton.ts";
import { findPolicy } from "./find-policy.ts";
import type { ContentReader, LabelPolicy } from "./find-policy.ts";

const XATTR_SECURITY_SELINUX = "security.selinux" as ByteString;

const LETTER_OF_KIND: Readonly<Record<NodeKind, string>> = {
  blockdev: "b",
  chardev: "c",
  directory: "d",
  fifo: "p",
  symlink: "l",
  socket: "s",
  file: "-",
};

/**
 * Returns a tree with the labels of its own policy, and without any where it brings none: labels of the
 * machine that built it never stay. A file with names that need different labels becomes several files.
 * Link counts are recounted. `readContent` is asked for the policy's files, 16 MiB at most, and may throw.
 * Throws `invalid-policy`.
 */
export function labelTree(root: Directory, readContent: ContentReader): Directory {
  const policy = findPolicy(root, readContent);
  if (policy === undefined) return relinkTree(root, (stat) => withLabel(stat, undefined));
  return relinkTree(new Labeller(policy).label(root));
}

interface OpenDirectory extends Directory {
  readonly entries: Map<ByteString, Node>;
}

/** A directory whose entries are being labelled. */
interface Level {
  readonly entries: Iterator<[ByteString, Node]>;
  readonly target: OpenDirectory;
  /** The path before a name in it, with its slash; a substitution may have changed it. */
  readonly prefix: ByteString;
  readonly state: MatchState;
}

class Labeller {
  readonly #policy: LabelPolicy;
  /** The label that the first name of a file gave it, and the file with it. */
  readonly #labelled = new Map<Leaf, { label: ByteString | undefined; leaf: Leaf }>();
  /** The xattrs of files that have nothing but a label. */
  readonly #onlyLabel = new Map<ByteString, Xattrs>();

  constructor(policy: LabelPolicy) {
    this.#policy = policy;
  }

  label(root: Directory): Directory {
    const { contexts } = this.#policy;
    const slash = "/" as ByteString;
    const first = this.#open(root, slash, contexts.advance(contexts.start, slash));
    const stack = [first];
    for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
      const next = top.entries.next();
      if (next.done === true) {
        stack.pop();
        continue;
      }
      const [name, node] = next.value;
      const { path, state } = this.#place(top, name);
      if (node.kind === "directory") {
        const level = this.#open(node, path, state);
        top.target.entries.set(name, level.target);
        stack.push(level);
      } else {
        top.target.entries.set(name, this.#labelLeaf(resolveLink(node) as Leaf, path, state));
      }
    }
    return first.target;
  }

  /** The path that an entry is labelled by, and the state after it. */
  #place(level: Level, name: ByteString): { path: ByteString; state: MatchState } {
    const { contexts, substitutions } = this.#policy;
    const path = (level.prefix + name) as ByteString;
    const original = substitutions.get(path);
    if (original === undefined) return { path, state: contexts.advance(level.state, name) };
    return { path: original, state: contexts.advance(contexts.start, original) };
  }

  #open(directory: Directory, path: ByteString, state: MatchState): Level {
    const label = this.#policy.contexts.label(state, path, LETTER_OF_KIND.directory);
    const hasSlash = path.endsWith("/");
    return {
      entries: sortedEntries(directory)[Symbol.iterator](),
      target: {
        kind: "directory",
        stat: this.#withLabel(directory.stat, label),
        entries: new Map(),
      },
      prefix: (hasSlash ? path : `${path}/`) as ByteString,
      state: hasSlash ? state : this.#policy.contexts.advance(state, "/" as ByteString),
    };
  }

  #labelLeaf(leaf: Leaf, path: ByteString, state: MatchState): Leaf {
    const label = this.#policy.contexts.label(state, path, LETTER_OF_KIND[leaf.kind]);
    const known = this.#labelled.get(leaf);
    if (known !== undefined && known.label === label) return known.leaf;
    const labelled: Leaf = { ...leaf, stat: this.#withLabel(leaf.stat, label) };
    if (known === undefined) this.#labelled.set(leaf, { label, leaf: labelled });
    return labelled;
  }

  #withLabel(stat: Stat, label: ByteString | undefined): Stat {
    if (label === undefined || stat.xattrs.size > 0) return withLabel(stat, label);
    let xattrs = this.#onlyLabel.get(label);
    if (xattrs === undefined) {
      ({ xattrs } = withLabel(stat, label));
      this.#onlyLabel.set(label, xattrs);
    }
    return { ...stat, xattrs };
  }
}

function withLabel(stat: Stat, label: ByteString | undefined): Stat {
  if (label === undefined && !stat.xattrs.has(XATTR_SECURITY_SELINUX)) return stat;
  const xattrs = new Map(stat.xattrs);
  if (label === undefined) xattrs.delete(XATTR_SECURITY_SELINUX);
  else xattrs.set(XATTR_SECURITY_SELINUX, bytesOf(label));
  return { ...stat, xattrs };
}
