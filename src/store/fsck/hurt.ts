/** From what is damaged to who feels it: the images, and the files in them. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { CategoryLinks, Ref } from "../survey/links.ts";
import { tagOfRef } from "../oci/names.ts";
import type { CheckedImage } from "./check-images.ts";
import type { CheckedStream } from "./check-streams.ts";
import type { HurtImage } from "./finding.ts";

/** What was found out about streams and images, by their digests. */
export interface Graph {
  readonly streams: ReadonlyMap<FsVerityDigest, CheckedStream>;
  readonly images: ReadonlyMap<FsVerityDigest, CheckedImage>;
  /** Objects that are damaged or missing. */
  readonly isDamaged: (digest: FsVerityDigest) => boolean;
  /** Names the files of a layer that need objects which its image does not show. */
  readonly filesOfLayer: (
    stream: CheckedStream,
    objects: ReadonlySet<FsVerityDigest>,
  ) => readonly ByteString[];
}

const LAYER_PREFIX = "oci-layer-";
const FILES_MAX = 1000;

/** The images that lack something, in the order of the refs; those without a ref last. */
export function findHurt(
  links: { readonly streams: CategoryLinks; readonly images: CategoryLinks },
  graph: Graph,
): HurtImage[] {
  const hurt: HurtImage[] = [];
  const reached = new Set<FsVerityDigest>();
  for (const { category, entries, refs } of [links.streams, links.images]) {
    for (const ref of refs) {
      const start = entries.get(ref.entry);
      const result = collect(nameOf(ref), start, category, graph, reached);
      if (result !== undefined) hurt.push(result);
    }
  }
  for (const image of graph.images.values()) {
    if (reached.has(image.digest)) continue;
    const name = `images/${image.digest}` as ByteString;
    const result = collect(name, image.digest, "images", graph, reached);
    if (result !== undefined) hurt.push(result);
  }
  return hurt;
}

function nameOf({ category, name }: Ref): ByteString {
  const tag = category === "streams" ? tagOfRef(name) : undefined;
  return tag ?? (`${category}/refs/${name}` as ByteString);
}

function collect(
  name: ByteString,
  start: FsVerityDigest | undefined,
  category: Ref["category"],
  graph: Graph,
  reached: Set<FsVerityDigest>,
): HurtImage | undefined {
  if (start === undefined) {
    return { name, isUnusable: true, files: [], fileCount: 0, objects: [] };
  }
  const lacks = new Set<FsVerityDigest>();
  const shown = new Set<FsVerityDigest>();
  const files: ByteString[] = [];
  let fileCount = 0;
  let isUnusable = false;
  const layers: CheckedStream[] = [];
  const seen = new Set<FsVerityDigest>([start]);
  for (const digest of seen) {
    reached.add(digest);
    const stream = graph.streams.get(digest);
    const image = graph.images.get(digest);
    if (graph.isDamaged(digest)) {
      lacks.add(digest);
      // A stream or image that has lost its name as well.
      if (stream === undefined && image === undefined) isUnusable = true;
    }
    if (stream !== undefined) {
      if (stream.trouble !== undefined && !stream.name.startsWith(LAYER_PREFIX)) isUnusable = true;
      if (stream.lacks.length > 0) layers.push(stream);
      for (const each of stream.lacks) lacks.add(each);
      for (const each of stream.refs) seen.add(each);
    }
    if (image !== undefined && (stream === undefined || category === "images")) {
      if (image.trouble !== undefined) isUnusable = true;
      for (const each of image.lacks) {
        lacks.add(each);
        shown.add(each);
      }
      // Two layouts of one image have the same files.
      if (fileCount === 0) {
        files.push(...image.files);
        fileCount = image.fileCount;
      }
    }
  }
  for (const layer of layers) {
    const hidden = new Set(layer.lacks.filter((digest) => !shown.has(digest)));
    if (hidden.size === 0) continue;
    // A manifest's or a config's one object is what it is about.
    if (!layer.name.startsWith(LAYER_PREFIX)) {
      isUnusable = true;
      continue;
    }
    for (const path of graph.filesOfLayer(layer, hidden)) {
      fileCount++;
      if (files.length < FILES_MAX) {
        files.push(`${displayText(layer.name)}:${path}` as ByteString);
      }
    }
  }
  if (lacks.size === 0 && !isUnusable) return undefined;
  return { name, isUnusable, files, fileCount, objects: [...lacks].sort() };
}
