/** The images of a repository, as lists show them. One that is damaged does not hide the others. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import type { Repository } from "../repository.ts";
import { openManifest } from "./image.ts";
import type { OciImage } from "./image.ts";
import { listReferrers, listTags } from "./tags.ts";
import { measureUsage, objectsOfImage } from "./usage.ts";
import type { ImageUsage } from "./usage.ts";

/** A tag and what it names. */
export interface ListedImage {
  readonly name: ByteString;
  readonly manifestDigest: OciDigest;
  /** `undefined` for one that is damaged. */
  readonly image: OciImage | undefined;
  readonly usage: ImageUsage | undefined;
  /** Why it is damaged. */
  readonly damage: ComposefsError | undefined;
  readonly referrers: readonly OciDigest[];
}

/**
 * Lists all tags with their images, in byte order of the tags' references. One that is damaged is listed as that;
 * only failed system calls are thrown.
 */
export function listOciImages(repo: Repository, decompression: Decompression): ListedImage[] {
  const objects = new Map<OciDigest, ReadonlySet<FsVerityDigest>>();
  const opened = new Map<OciDigest, OciImage>();
  const damages = new Map<OciDigest, ComposefsError>();
  const tags = listTags(repo);
  for (const { manifestDigest } of tags) {
    if (opened.has(manifestDigest) || damages.has(manifestDigest)) continue;
    try {
      const image = openManifest(repo, manifestDigest, decompression);
      objects.set(manifestDigest, objectsOfImage(repo, image));
      opened.set(manifestDigest, image);
    } catch (error) {
      if (!(error instanceof ComposefsError)) throw error;
      damages.set(manifestDigest, error);
    }
  }
  const usage = measureUsage(repo, objects);
  return tags.map(({ name, manifestDigest }) => ({
    name,
    manifestDigest,
    image: opened.get(manifestDigest),
    usage: usage.get(manifestDigest),
    damage: damages.get(manifestDigest),
    referrers: listReferrers(repo, manifestDigest),
  }));
}
