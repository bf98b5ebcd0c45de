/** From what a name stands for to the manifest of one image: through indexes, by platform. */

import { arch } from "node:process";
import { ComposefsError } from "../core/errors.ts";
import type { Descriptor } from "../core/oci/descriptor.ts";
import { choosePlatform, parseIndex } from "../core/oci/image-index.ts";
import { parseManifest } from "../core/oci/manifest.ts";
import type { Manifest } from "../core/oci/manifest.ts";
import { isIndexMediaType } from "../core/oci/media-type.ts";
import { parsePlatform } from "../core/oci/platform.ts";
import type { Platform } from "../core/oci/platform.ts";
import type { ImageSource, SourceCallOptions } from "./image-source.ts";

/** The manifest of one image. */
export interface ResolvedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

/** Indexes of indexes: more than two have no use. */
const DEPTH_MAX = 4;

/** The platform of this machine, without a variant. */
export function hostPlatform(): Platform {
  return parsePlatform(`linux/${arch}`);
}

/**
 * Resolves the name of a source and chooses by platform as often as there is an index. Throws
 * `no-matching-platform`, `invalid-manifest`, `content-mismatch`, …
 */
export async function resolveImage(
  source: ImageSource,
  platform: Platform = hostPlatform(),
  options: SourceCallOptions = {},
): Promise<ResolvedManifest> {
  let { descriptor, bytes } = await source.resolve(options);
  for (let depth = 0; isIndexMediaType(descriptor.mediaType); depth++) {
    if (depth === DEPTH_MAX) {
      throw new ComposefsError(
        "invalid-manifest",
        `Cannot use image "${source.name}": more than ${DEPTH_MAX} indexes lie in each other`,
      );
    }
    descriptor = choosePlatform(parseIndex(bytes, descriptor.mediaType), platform);
    bytes = await source.readManifest(descriptor, options);
  }
  return { descriptor, bytes, manifest: parseManifest(bytes, descriptor.mediaType) };
}
