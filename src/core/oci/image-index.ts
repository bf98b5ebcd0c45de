/**
 * Indexes of OCI, and Docker's manifest lists: one image for several platforms, or all that a layout
 * directory holds.
 *
 * Source: OCI image-spec 1.1, image-index.md.
 */

import { ComposefsError } from "../errors.ts";
import { ANNOTATIONS_MAX, readDescriptor } from "./descriptor.ts";
import type { Descriptor } from "./descriptor.ts";
import { parseOciDocument } from "./document.ts";
import { formatPlatform, rankPlatform } from "./platform.ts";
import type { Platform } from "./platform.ts";

/** An index. */
export interface ImageIndex {
  readonly mediaType: string;
  readonly artifactType: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject: Descriptor | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The index of a layout directory may hold many images. */
const MANIFESTS_MAX = 16384;
/** podman sets this where an index has the same image for the same platform in both compressions. */
const ZSTD_ANNOTATION = "io.github.containers.compression.zstd";
/** Platforms that a message lists. */
const LISTED_MAX = 20;

/**
 * Parses an index. `mediaType` is what the reference to it said; a document that says otherwise is
 * refused. Throws `invalid-manifest` and `unsupported-media-type`.
 */
export function parseIndex(bytes: Uint8Array, mediaType?: string): ImageIndex {
  const { kind, mediaType: known, root } = parseOciDocument(bytes, mediaType);
  if (kind !== "index") throw root.invalid("it is the manifest of one image");
  const artifactType = root.optional("artifactType")?.text();
  const subject = root.optional("subject");
  return {
    mediaType: known,
    artifactType: artifactType === "" ? undefined : artifactType,
    manifests: root.list("manifests", MANIFESTS_MAX).map(readDescriptor),
    subject: subject === undefined ? undefined : readDescriptor(subject),
    annotations: root.texts("annotations", ANNOTATIONS_MAX),
  };
}

/**
 * Chooses the manifest for a platform: the best variant, of two equals one with layers of zstd, of two
 * such the first. An entry without a platform is taken only where nothing else fits. Throws
 * `no-matching-platform`.
 */
export function choosePlatform(index: ImageIndex, wanted: Platform): Descriptor {
  let best: { readonly descriptor: Descriptor; readonly rank: number } | undefined;
  for (const descriptor of index.manifests) {
    const { platform, annotations } = descriptor;
    if (platform === undefined) continue;
    const variantRank = rankPlatform(wanted, platform);
    if (variantRank === undefined) continue;
    const rank = 2 * variantRank + (annotations[ZSTD_ANNOTATION] === "true" ? 0 : 1);
    if (best === undefined || rank < best.rank) best = { descriptor, rank };
  }
  const chosen = best?.descriptor ?? index.manifests.find(({ platform }) => platform === undefined);
  if (chosen !== undefined) return chosen;
  const offered = index.manifests.flatMap(({ platform }) =>
    platform === undefined ? [] : [formatPlatform(platform)],
  );
  const listed = [...new Set(offered)].slice(0, LISTED_MAX);
  const words = listed.length === 0 ? "it is empty" : `it has ${listed.join(", ")}`;
  throw new ComposefsError(
    "no-matching-platform",
    `Cannot choose an image for ${formatPlatform(wanted)} from index: ${words}`,
    { hint: "choose another one with --platform" },
  );
}
