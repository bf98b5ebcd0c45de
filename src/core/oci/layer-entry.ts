/**
 * What a layer says about one path: a tar entry in the words of the tree.
 */

import { displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { LCFS_RECOMMENDED_INLINE_CONTENT_MAX } from "../erofs/format.ts";
import { ComposefsError } from "../errors.ts";
import type { TarEntry } from "../tar/entry.ts";
import type { FileContent, Leaf, Stat } from "../tree/node.ts";

/** One entry of a layer; paths and targets of hard links as they stand in the archive. */
export type LayerEntry =
  | { readonly kind: "directory"; readonly path: ByteString; readonly stat: Stat }
  | { readonly kind: "leaf"; readonly path: ByteString; readonly leaf: Leaf }
  | { readonly kind: "hardlink"; readonly path: ByteString; readonly target: ByteString };

/** Most bytes of a file that lies in the image, and in the layer's stream, instead of in an object. */
export const LAYER_INLINE_MAX: number = LCFS_RECOMMENDED_INLINE_CONTENT_MAX;

/** Whether the content of an entry goes into an object, and not inline into the layer's stream. */
export function isStoredAsObject({ kind, storedSize }: TarEntry): boolean {
  return kind === "file" && storedSize > LAYER_INLINE_MAX;
}

const NO_CONTENT: FileContent = { kind: "inline", data: new Uint8Array(0) };

/**
 * Puts an entry into the words of the tree. `content` is that of a regular file; without one the file
 * is empty. Throws `invalid-layer` for a device number that Linux has not.
 */
export function layerEntryOf(entry: TarEntry, content: FileContent = NO_CONTENT): LayerEntry {
  const { kind, path } = entry;
  const { mode, uid, gid, mtime, xattrs } = entry;
  const stat: Stat = { mode, uid, gid, mtime, xattrs };
  switch (kind) {
    case "directory":
      return { kind, path, stat };
    case "hardlink":
      return { kind, path, target: entry.linkPath };
    case "file":
      return { kind: "leaf", path, leaf: { kind, stat, nlink: 1, content } };
    case "symlink":
      return { kind: "leaf", path, leaf: { kind, stat, nlink: 1, target: entry.linkPath } };
    case "fifo":
      return { kind: "leaf", path, leaf: { kind, stat, nlink: 1, claimedSize: 0 } };
    case "chardev":
    case "blockdev": {
      const rdev = encodeDevice(entry);
      return { kind: "leaf", path, leaf: { kind, stat, nlink: 1, rdev, claimedSize: 0 } };
    }
  }
}

/** The 32-bit device number of include/linux/kdev_t.h, `new_encode_dev`. */
function encodeDevice({ path, major, minor }: TarEntry): number {
  if (!(major >= 0 && major < 1 << 12 && minor >= 0 && minor < 1 << 20)) {
    throw invalidLayer(path, `device number ${major}:${minor} is out of range`);
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** The error of everything that makes a layer unacceptable. */
export function invalidLayer(path: ByteString, reason: string): ComposefsError {
  return new ComposefsError(
    "invalid-layer",
    `Cannot use layer entry "${displayText(path)}": ${reason}`,
  );
}
