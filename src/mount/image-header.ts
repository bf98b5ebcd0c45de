/**
 * A first look at an image, before the kernel gets it: is it composefs, and does it have ACLs?
 *
 * Only the header is read. Whether the rest holds together is for the kernel's EROFS to find out, and
 * for the fs-verity digest to vouch for.
 */

import {
  COMPOSEFS_HEADER,
  EROFS_SUPER_MAGIC_V1,
  EROFS_SUPER_OFFSET,
  LCFS_EROFS_FLAGS_HAS_ACL,
  LCFS_EROFS_MAGIC,
  LCFS_EROFS_VERSION,
} from "../core/erofs/format.ts";
import { ImageError } from "../core/errors.ts";

/** How many bytes from the start of an image {@link checkImageHeader} wants. */
export const IMAGE_HEADER_SIZE = EROFS_SUPER_OFFSET + 4;

/** What the header says that matters for mounting. */
export interface ImageHeader {
  /** Whether some inode has a POSIX ACL; without any, the kernel need not look for them. */
  readonly hasAcl: boolean;
}

/**
 * Reads the header out of the first {@link IMAGE_HEADER_SIZE} bytes of an image, or fewer if it has no
 * more. Throws `not-erofs`, `not-composefs` or `unsupported-image`.
 */
export function checkImageHeader(untrustedStart: Uint8Array): ImageHeader {
  const { buffer, byteOffset, byteLength } = untrustedStart;
  const view = new DataView(buffer, byteOffset, byteLength);
  if (
    byteLength < IMAGE_HEADER_SIZE ||
    view.getUint32(EROFS_SUPER_OFFSET, true) !== EROFS_SUPER_MAGIC_V1
  ) {
    throw new ImageError("not-erofs", EROFS_SUPER_OFFSET, "not an EROFS image");
  }
  if (view.getUint32(COMPOSEFS_HEADER.magic, true) !== LCFS_EROFS_MAGIC) {
    throw new ImageError("not-composefs", COMPOSEFS_HEADER.magic, "no composefs header");
  }
  const version = view.getUint32(COMPOSEFS_HEADER.version, true);
  if (version !== LCFS_EROFS_VERSION) {
    throw new ImageError(
      "unsupported-image",
      COMPOSEFS_HEADER.version,
      `composefs header version ${version}, want ${LCFS_EROFS_VERSION}`,
    );
  }
  const flags = view.getUint32(COMPOSEFS_HEADER.flags, true);
  return { hasAcl: (flags & LCFS_EROFS_FLAGS_HAS_ACL) !== 0 };
}
