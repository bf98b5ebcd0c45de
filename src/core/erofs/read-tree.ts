/**
 * An image turned back into the tree that it was made of.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import type { Directory, Leaf, Node } from "../tree/node.ts";
import { NidMap } from "./nid-map.ts";
import type { ErofsImage } from "./reader.ts";
import { walkImage } from "./walk-image.ts";
import type { WalkImageOptions } from "./walk-image.ts";

/** Reads the whole tree, which then owns all of its bytes. Throws as {@link ErofsImage} does. */
export function readTree(image: ErofsImage, options: WalkImageOptions = {}): Directory {
  return image.wholly(() => collectTree(image, options));
}

function collectTree(image: ErofsImage, options: WalkImageOptions): Directory {
  const leaves = new NidMap<Leaf>();
  /** The directory that is being filled at each depth. */
  const open: Map<ByteString, Node>[] = [];
  let root: Directory | undefined;
  for (const { name, depth, nid, node, linkOf } of walkImage(image, options)) {
    if (linkOf !== undefined) {
      open[depth - 1]!.set(name, { kind: "hardlink", target: leaves.get(nid)! });
      continue;
    }
    if (depth === 0) root = node as Directory;
    else open[depth - 1]!.set(name, node);
    // What the walk hands out is empty and nobody else's: it is filled here.
    if (node.kind === "directory") open[depth] = node.entries as Map<ByteString, Node>;
    else leaves.add(nid, node);
  }
  return root!;
}
