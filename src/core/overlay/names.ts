/**
 * Names of overlayfs xattrs, and how they are escaped so that an overlay can hold another one's.
 *
 * Source: Linux Documentation/filesystems/overlayfs.rst, "Nesting overlayfs mounts"; fs/overlayfs.
 */

import { byteString, concatByteStrings, sliceByteString } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";

const OVERLAY_XATTR_PREFIX = byteString("trusted.overlay.");
const OVERLAY_XATTR_ESCAPE_PREFIX = byteString("trusted.overlay.overlay.");
/** What the kernel reads in a lower layer, what it unescapes there, and what `userxattr` mounts read. */
export const OVERLAY_XATTR_METACOPY = byteString("trusted.overlay.metacopy");
export const OVERLAY_XATTR_REDIRECT = byteString("trusted.overlay.redirect");
export const OVERLAY_XATTR_OPAQUE = byteString("trusted.overlay.opaque");
export const OVERLAY_XATTR_ESCAPED_WHITEOUT = byteString("trusted.overlay.overlay.whiteout");
export const OVERLAY_XATTR_ESCAPED_WHITEOUTS = byteString("trusted.overlay.overlay.whiteouts");
export const OVERLAY_XATTR_ESCAPED_OPAQUE = byteString("trusted.overlay.overlay.opaque");
export const OVERLAY_XATTR_USERXATTR_WHITEOUT = byteString("user.overlay.whiteout");
export const OVERLAY_XATTR_USERXATTR_WHITEOUTS = byteString("user.overlay.whiteouts");
export const OVERLAY_XATTR_USERXATTR_OPAQUE = byteString("user.overlay.opaque");

/** `trusted.overlay.x` becomes `trusted.overlay.overlay.x`; other names stay. */
export function escapeOverlayName(name: ByteString): ByteString {
  if (!name.startsWith(OVERLAY_XATTR_PREFIX)) return name;
  return concatByteStrings(
    OVERLAY_XATTR_ESCAPE_PREFIX,
    sliceByteString(name, OVERLAY_XATTR_PREFIX.length),
  );
}

/** The reverse of {@link escapeOverlayName}; `undefined` for an overlay xattr that is not escaped. */
export function unescapeOverlayName(name: ByteString): ByteString | undefined {
  if (!name.startsWith(OVERLAY_XATTR_PREFIX)) return name;
  if (!name.startsWith(OVERLAY_XATTR_ESCAPE_PREFIX)) return undefined;
  return concatByteStrings(
    OVERLAY_XATTR_PREFIX,
    sliceByteString(name, OVERLAY_XATTR_ESCAPE_PREFIX.length),
  );
}
