/** What of a layer is in the repository already, and which parts of its blob are needed for the rest. */

import type { ChunkedToc } from "../../core/chunked/toc.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { BlobRange } from "../image-source.ts";
import { mergeRanges } from "./ranges.ts";

/** Finds an object by the sha256 of its content; `ContentIndex` of the repository is one. */
export interface ContentFinder {
  /** How many objects are known; 0 saves the look at what could be reused. */
  readonly records: number;
  find(sha256: OciDigest): { readonly digest: FsVerityDigest; readonly size: number } | undefined;
}

/** What a partial pull of one layer does. */
export interface PartialPlan {
  /** Objects that are content of the layer, by the sha256 of the content in hexadecimal. */
  readonly known: ReadonlyMap<string, FsVerityDigest>;
  /** Contents that come more than once and are not known: how often they come. */
  readonly repeated: ReadonlyMap<string, number>;
  /** Parts of the blob, in order. */
  readonly ranges: readonly BlobRange[];
  /** Files that are in the repository, each time they come, and their bytes. */
  readonly reused: { readonly files: number; readonly bytes: number };
}

/** Contents that come again are kept for the second time if they are no larger, all together. */
const KEPT_MAX = 32 << 20;

/** Looks for the files of a TOC. */
export function planPartialPull(toc: ChunkedToc, finder: ContentFinder): PartialPlan {
  const known = new Map<string, FsVerityDigest>();
  const counts = new Map<string, number>();
  const sizes = new Map<string, number>();
  const reused = { files: 0, bytes: 0 };
  for (const { sha256, size, chunks } of toc.entries) {
    if (chunks.length === 0) continue;
    const count = counts.get(sha256) ?? 0;
    if (count === 0) {
      const found = finder.find(`sha256:${sha256}` as OciDigest);
      if (found?.size === size) known.set(sha256, found.digest);
    }
    counts.set(sha256, count + 1);
    sizes.set(sha256, size);
    if (!known.has(sha256)) continue;
    reused.files++;
    reused.bytes += size;
  }
  const repeated = repeatedContents(counts, sizes, known);
  return { known, repeated, reused, ranges: mergeRanges(missing(toc, known, repeated)) };
}

function repeatedContents(
  counts: ReadonlyMap<string, number>,
  sizes: ReadonlyMap<string, number>,
  known: ReadonlyMap<string, FsVerityDigest>,
): Map<string, number> {
  const repeated = new Map<string, number>();
  let total = 0;
  for (const [sha256, count] of counts) {
    const size = sizes.get(sha256)!;
    if (count < 2 || known.has(sha256) || total + size > KEPT_MAX) continue;
    total += size;
    repeated.set(sha256, count);
  }
  return repeated;
}

function* missing(
  toc: ChunkedToc,
  known: ReadonlyMap<string, FsVerityDigest>,
  repeated: ReadonlyMap<string, number>,
): Generator<BlobRange, void> {
  const seen = new Set<string>();
  for (const { sha256, chunks } of toc.entries) {
    if (chunks.length === 0 || known.has(sha256) || seen.has(sha256)) continue;
    if (repeated.has(sha256)) seen.add(sha256);
    for (const { kind, offset, end } of chunks) {
      if (kind === "data") yield { offset, length: end - offset };
    }
  }
}
