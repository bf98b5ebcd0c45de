/**
 * Which image of a file or directory is meant, as it stands behind the path.
 *
 * Source: containers-transports(5).
 */

import { ComposefsError } from "../core/errors.ts";
import { shown } from "../core/oci/json.ts";

/** What stands behind the path. */
export type FileReference =
  | { readonly kind: "any" }
  | { readonly kind: "tag"; readonly tag: string }
  /** From 0, in the order of the list of images. */
  | { readonly kind: "place"; readonly place: number };

/**
 * Splits `PATH`, `PATH:TAG` (with further colons in the tag) and `PATH:@PLACE`. A path has no colon in it.
 * Throws `invalid-reference`.
 */
export function parseFileReference(text: string): {
  readonly path: string;
  readonly reference: FileReference;
} {
  const colon = text.indexOf(":");
  const path = colon < 0 ? text : text.slice(0, colon);
  if (path === "") {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot parse image name ${shown(text)}: it has no path`,
    );
  }
  const tag = colon < 0 ? "" : text.slice(colon + 1);
  if (tag === "") return { path, reference: { kind: "any" } };
  const place = /^@(\d{1,9})$/.exec(tag)?.[1];
  if (place !== undefined) return { path, reference: { kind: "place", place: Number(place) } };
  return { path, reference: { kind: "tag", tag } };
}
