/** What the second of two trees costs where the first is there already. */

import type { Directory } from "../../core/tree/node.ts";
import { walkTree } from "../../core/tree/walk.ts";
import type { OciImage } from "../../store/mod.ts";
import { formatCount, formatSize } from "../output/progress.ts";

/** A number of things, and their bytes. */
export interface Cost {
  readonly count: number;
  readonly bytes: number;
}

/** Objects that `after` refers to and `before` does not. */
export function costToStore(before: Directory, after: Directory): Cost {
  const known = new Set(objectsOf(before).keys());
  return sum([...objectsOf(after)].flatMap(([object, size]) => (known.has(object) ? [] : [size])));
}

/** Layers, as they are compressed, that `after` has and `before` has not. */
export function costToDownload(before: OciImage, after: OciImage): Cost {
  const known = new Set(before.layers.map(({ diffId }) => diffId));
  const missing = new Map(
    after.layers.flatMap(({ diffId, descriptor }) =>
      known.has(diffId) ? [] : [[diffId, descriptor.size] as const],
    ),
  );
  return sum([...missing.values()]);
}

/** One line for people. */
export function describeCosts(
  store: Cost,
  download: (Cost & { layersOf: number }) | undefined,
): string {
  const stored = `${formatSize(store.bytes)} to store in ${formatCount(store.count)} objects`;
  if (download === undefined) return stored;
  const { bytes, count, layersOf } = download;
  return `${formatSize(bytes)} to download in ${count} of ${layersOf} layers, ${stored}`;
}

/** Sizes by digest, or by path where there is no digest. */
function objectsOf(root: Directory): Map<string, number> {
  const objects = new Map<string, number>();
  for (const { node } of walkTree(root)) {
    if (node.kind !== "file" || node.content.kind !== "external") continue;
    const { digest, path, size } = node.content;
    objects.set(digest ?? path!, size);
  }
  return objects;
}

function sum(sizes: readonly number[]): Cost {
  return { count: sizes.length, bytes: sizes.reduce((all, size) => all + size, 0) };
}
