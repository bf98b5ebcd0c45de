/**
 * Paths of layer entries: relative to the root of the image, however they are written.
 *
 * `./a`, `/a`, `a/` and `a//./` are all `a`. A path with `..` is refused wherever it leads: who writes
 * one means to leave the tree.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { LCFS_MAX_NAME_LENGTH, PATH_MAX } from "../erofs/format.ts";
import { invalidLayer } from "./layer-entry.ts";

/** Returns the names on the way to a path; none for the root. Throws `invalid-layer`. */
export function splitLayerPath(path: ByteString): ByteString[] {
  if (path.length >= PATH_MAX) {
    throw invalidLayer(
      path.slice(0, 100) as ByteString,
      `path is longer than ${PATH_MAX - 1} bytes`,
    );
  }
  const names = path.split("/").filter((name) => name !== "" && name !== ".") as ByteString[];
  for (const name of names) {
    if (name === "..") throw invalidLayer(path, "path holds ..");
    if (name.length > LCFS_MAX_NAME_LENGTH) {
      throw invalidLayer(path, `name is longer than ${LCFS_MAX_NAME_LENGTH} bytes`);
    }
  }
  return names;
}

/** Joins names to an absolute path. */
export function joinLayerPath(names: readonly ByteString[]): ByteString {
  return `/${names.join("/")}` as ByteString;
}
