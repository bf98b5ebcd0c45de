/**
 * Which image of a layout is meant: by its tag, its digest, its place, or because there is only one.
 *
 * Source: OCI image-spec 1.1, image-layout.md and annotations.md; containers-transports(5) for the texts.
 */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import type { ImageIndex } from "../../core/oci/image-index.ts";
import { shown } from "../../core/oci/json.ts";
import { isOciDigest } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { formatPlatform } from "../../core/oci/platform.ts";
import { parseFileReference } from "../file-reference.ts";
import type { FileReference } from "../file-reference.ts";
import { corruptArchive } from "../image-files.ts";

/** What stands behind the path. */
export type LayoutReference =
  | FileReference
  | { readonly kind: "digest"; readonly digest: OciDigest };

/** The tag of an image in a layout. */
export const REF_NAME_ANNOTATION = "org.opencontainers.image.ref.name";
/** containerd and buildkit put the full name here, and only the tag there. */
const CONTAINERD_NAME_ANNOTATION = "io.containerd.image.name";
/** Names that a message lists. */
const LISTED_MAX = 20;

/**
 * Splits `PATH`, `PATH:TAG`, `PATH:@PLACE` and `PATH@DIGEST`. A path has no colon in it. Throws
 * `invalid-reference`.
 */
export function parseLayoutReference(text: string): {
  readonly path: string;
  readonly reference: LayoutReference;
} {
  const at = text.lastIndexOf("@");
  const digest = text.slice(at + 1);
  if (at > 0 && isOciDigest(digest)) {
    // Tools that print a tag and a digest mean the digest.
    const path = text.slice(0, at).replace(/:.*$/s, "");
    if (path !== "") return { path, reference: { kind: "digest", digest } };
  }
  return parseFileReference(text);
}

/**
 * Finds the image in an index. `"index"` says that the index itself is meant: nothing was asked for, and
 * it has one image for each of several platforms. Throws `corrupt-archive` and `invalid-reference`.
 */
export function findInLayout(
  index: ImageIndex,
  reference: LayoutReference,
  name: string,
): Descriptor | "index" {
  const { manifests } = index;
  switch (reference.kind) {
    case "tag": {
      const { tag } = reference;
      const byTag = manifests.filter((one) => one.annotations[REF_NAME_ANNOTATION] === tag);
      const byName = manifests.filter((one) => one.annotations[CONTAINERD_NAME_ANNOTATION] === tag);
      const [found, ...others] = byTag.length > 0 ? byTag : byName;
      if (found === undefined) throw missing(index, name, `no image has the tag ${shown(tag)}`);
      if (others.some(({ digest }) => digest !== found.digest)) {
        throw corruptArchive(name, `several images have the tag ${shown(tag)}`);
      }
      return found;
    }
    case "digest": {
      const found = manifests.find(({ digest }) => digest === reference.digest);
      // It may be an image inside of an index: whether it is there is seen when it is read.
      return found ?? untold(reference.digest);
    }
    case "place": {
      const found = manifests[reference.place];
      if (found === undefined) throw missing(index, name, `it has no place ${reference.place}`);
      return found;
    }
    case "any": {
      const [only] = manifests;
      if (only === undefined) throw missing(index, name, "it has no image");
      if (manifests.length === 1) return only;
      if (isOnePerPlatform(manifests)) return "index";
      throw missing(index, name, "it has several images, and none was named");
    }
  }
}

/** Of an image that is only known by its digest. */
function untold(digest: OciDigest): Descriptor {
  return { mediaType: "", digest, size: 0, annotations: {} };
}

function isOnePerPlatform(manifests: readonly Descriptor[]): boolean {
  const platforms = manifests.map(({ platform, annotations }) =>
    platform === undefined || annotations[REF_NAME_ANNOTATION] !== undefined
      ? ""
      : formatPlatform(platform),
  );
  return !platforms.includes("") && new Set(platforms).size === platforms.length;
}

function missing(index: ImageIndex, name: string, reason: string): ComposefsError {
  const tags = index.manifests.flatMap(({ annotations }) => {
    const tag = annotations[REF_NAME_ANNOTATION];
    return tag === undefined ? [] : [shown(tag)];
  });
  const listed = [...new Set(tags)].slice(0, LISTED_MAX).join(", ");
  return new ComposefsError(
    "invalid-reference",
    `Cannot find image in "${name}": ${reason}`,
    listed === "" ? {} : { hint: `it has the tags ${listed}` },
  );
}
