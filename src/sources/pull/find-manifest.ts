/** From what a reference names to the manifest of one image. */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { choosePlatform, parseIndex } from "../../core/oci/image-index.ts";
import { isIndexMediaType } from "../../core/oci/media-type.ts";
import type { Platform } from "../../core/oci/platform.ts";
import type { ImageSource } from "../image-source.ts";
import { hostPlatform } from "../resolve-image.ts";

/** The manifest of an image; its bytes only where they were there without asking again. */
export interface FoundManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array | undefined;
}

/** Indexes in indexes: nobody nests them deeper. */
const DEPTH_MAX = 4;

/** Finds the manifest for a platform. Throws `no-matching-platform`, and what the source throws. */
export async function findManifest(
  source: ImageSource,
  platform: Platform | undefined,
  signal: AbortSignal | undefined,
): Promise<FoundManifest> {
  let { descriptor, bytes } = await source.resolve({ signal });
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    if (!isIndexMediaType(descriptor.mediaType)) return { descriptor, bytes };
    const index = parseIndex(bytes, descriptor.mediaType);
    descriptor = choosePlatform(index, platform ?? hostPlatform());
    if (!isIndexMediaType(descriptor.mediaType)) return { descriptor, bytes: undefined };
    bytes = await source.readManifest(descriptor, { signal });
  }
  throw new ComposefsError(
    "invalid-manifest",
    `Cannot use image "${source.name}": its indexes are nested more than ${DEPTH_MAX} deep`,
  );
}
