/** Which EROFS images a pull makes of an OCI image. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { erofsRefName } from "../../store/mod.ts";
import type { ErofsVariant, OciImage, Repository } from "../../store/mod.ts";
import type { PullOptions, PulledErofs } from "./options.ts";

/** One for each format of the repository, and with `bootable` another; the default format first. */
export function wantedErofs(repo: Repository, options: PullOptions): ErofsVariant[] {
  const { default: first, extra } = repo.formats;
  const names = new Set<string>();
  const variants: ErofsVariant[] = [];
  for (const bootable of options.bootable === true ? [false, true] : [false]) {
    for (const version of [first, ...extra]) {
      const keepUserXattrs = bootable && options.keepUserXattrs === true;
      const variant = { version, bootable, keepUserXattrs };
      // V0 and V1 share a name: of the two the repository's first choice is made.
      if (names.has(erofsRefName(variant))) continue;
      names.add(erofsRefName(variant));
      variants.push(variant);
    }
  }
  return variants;
}

/** The EROFS images that an OCI image has of these, or nothing if one is missing. */
export function presentErofs(
  repo: Repository,
  image: OciImage,
  variants: readonly ErofsVariant[],
): PulledErofs[] | undefined {
  const images = new Set<FsVerityDigest>(variants.length === 0 ? [] : repo.listImages());
  const present: PulledErofs[] = [];
  for (const variant of variants) {
    const digest = image.erofs.get(erofsRefName(variant));
    if (digest === undefined || !images.has(digest) || !repo.hasObject(digest)) return undefined;
    present.push({ ...variant, digest });
  }
  return present;
}
