/**
 * Layers to one tree, from the lowest up.
 *
 * Nothing is changed in place: a merged tree shares what a layer leaves alone with the tree below it,
 * so that stacks with a common base can share the base.
 *
 * Source: OCI image specification 1.1, layer.md, "Applying Changesets".
 */

import type { ByteString } from "../bytes/byte-string.ts";
import type { Directory, Leaf, Stat } from "../tree/node.ts";
import { invalidLayer } from "./layer-entry.ts";
import { throughLeaf } from "./layer.ts";
import type { LayerDirectory, LowerLink } from "./layer.ts";
import { joinLayerPath } from "./path.ts";
import { relinkTree } from "./relink.ts";

/** Options of {@link mergeLayers}. */
export interface MergeOptions {
  /**
   * What happens when a path goes through a directory that no entry made: it is made, mode 0755, owner
   * and time 0 ("create", unless told), or the layer is refused ("error"). The specification leaves it
   * open: container runtimes make it, with the present time; composefs-rs refuses. Images where it
   * matters have no digest that other tools agree on.
   */
  readonly missingParents?: "create" | "error";
}

/** A tree in which names of one file hold the same leaf. */
interface MergedDirectory {
  readonly kind: "directory";
  readonly stat: Stat;
  readonly entries: ReadonlyMap<ByteString, MergedNode>;
}
type MergedNode = MergedDirectory | Leaf;

/** One directory that is still to be merged. */
interface Job {
  readonly names: readonly ByteString[];
  readonly lower: MergedDirectory | undefined;
  readonly upper: LayerDirectory;
  readonly entries: Map<ByteString, MergedNode>;
}

const IMPLIED_STAT: Stat = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { sec: 0n, nsec: 0 },
  xattrs: new Map(),
};

const EMPTY_TREE: MergedDirectory = { kind: "directory", stat: IMPLIED_STAT, entries: new Map() };

/**
 * Merges layers, the lowest first. The link counts of the result are those of its names, and a file
 * stands where its first name is. A layer may be merged any number of times. Throws `invalid-layer`.
 */
export function mergeLayers(
  layers: Iterable<LayerDirectory>,
  options: MergeOptions = {},
): Directory {
  const creates = options.missingParents !== "error";
  let tree = EMPTY_TREE;
  for (const layer of layers) tree = mergeLayer(tree, layer, creates);
  return relinkTree(tree);
}

function mergeLayer(
  lowerRoot: MergedDirectory,
  layer: LayerDirectory,
  createsParents: boolean,
): MergedDirectory {
  const root = new Map<ByteString, MergedNode>();
  // A list of jobs instead of recursion: a path may have 2047 directories.
  const jobs: Job[] = [{ names: [], lower: lowerRoot, upper: layer, entries: root }];
  for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
    const { names, lower, upper, entries } = job;
    if (lower !== undefined && !upper.isOpaque) {
      for (const [name, node] of lower.entries) {
        if (!upper.whiteouts.has(name)) entries.set(name, node);
      }
    }
    for (const [name, node] of upper.entries) {
      if (node.kind === "lower-link") {
        entries.set(name, resolveLowerLink(lowerRoot, node, [...names, name]));
        continue;
      }
      if (node.kind !== "directory") {
        entries.set(name, node);
        continue;
      }
      const below = entries.get(name);
      const path = [...names, name];
      if (node.onlyHides && below === undefined) continue;
      if (node.stat === undefined) checkPassage(below, path, createsParents);
      const inLower = below?.kind === "directory" ? below : undefined;
      const stat = node.stat ?? inLower?.stat ?? IMPLIED_STAT;
      const merged = {
        kind: "directory" as const,
        stat,
        entries: new Map<ByteString, MergedNode>(),
      };
      entries.set(name, merged);
      jobs.push({ names: path, lower: inLower, upper: node, entries: merged.entries });
    }
  }
  return { kind: "directory", stat: layer.stat ?? lowerRoot.stat, entries: root };
}

/** A directory that a layer only passes through must be there already, or may be made. */
function checkPassage(
  below: MergedNode | undefined,
  names: readonly ByteString[],
  createsParents: boolean,
): void {
  if (below === undefined) {
    if (createsParents) return;
    throw invalidLayer(
      joinLayerPath(names),
      "directory is in the paths of a layer and in no layer",
    );
  }
  if (below.kind !== "directory") throw throughLeaf(joinLayerPath(names), names, below.kind);
}

function resolveLowerLink(
  lowerRoot: MergedDirectory,
  { target }: LowerLink,
  names: readonly ByteString[],
): Leaf {
  let node: MergedNode | undefined = lowerRoot;
  for (const [depth, name] of target.entries()) {
    if (node.kind !== "directory") {
      throw throughLeaf(joinLayerPath(names), target.slice(0, depth), node.kind);
    }
    node = node.entries.get(name);
    if (node === undefined) {
      throw invalidLayer(
        joinLayerPath(names),
        `hard link to "${joinLayerPath(target)}", which is not there`,
      );
    }
  }
  if (node.kind === "directory") {
    throw invalidLayer(
      joinLayerPath(names),
      `hard link to the directory "${joinLayerPath(target)}"`,
    );
  }
  return node;
}
