/**
 * The composefs header at 0 and the EROFS super block at 1024: what says that this is a composefs
 * image, which one, and where its parts are.
 *
 * Source: libcomposefs/lcfs-erofs.h; Linux fs/erofs/super.c for which features a reader must know.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import type { SourceReader } from "../bytes/reader.ts";
import { ImageError } from "../errors.ts";
import type { Timestamp } from "../tree/node.ts";
import {
  COMPOSEFS_HEADER,
  EROFS_BLKSIZ,
  EROFS_BLKSIZ_BITS,
  EROFS_SLOTSIZE,
  EROFS_SUPER_MAGIC_V1,
  EROFS_SUPER_OFFSET,
  LCFS_EROFS_FLAGS_HAS_ACL,
  LCFS_EROFS_MAGIC,
  LCFS_EROFS_VERSION,
  SUPER_BLOCK,
} from "./format.ts";
import { FORMAT_TRAITS } from "./version.ts";
import type { FormatVersion } from "./version.ts";

/** The only feature without which a reader would be lost and which we know: chunk-based files. */
const EROFS_FEATURE_INCOMPAT_CHUNKED_FILE = 0x00000004;

/** What the composefs header says. */
export interface ComposefsHeader {
  readonly version: FormatVersion;
  /** Some inode has a POSIX ACL; without this flag the image is mounted without ACLs. */
  readonly hasAcl: boolean;
}

/** What the EROFS super block says, as far as composefs uses it. */
export interface SuperBlock {
  readonly featureCompat: number;
  readonly featureIncompat: number;
  /** Number of inodes, whiteout stubs among them. */
  readonly inos: number;
  /** The time of every compact inode. */
  readonly buildTime: Timestamp;
  /** Blocks of the image. */
  readonly blocks: number;
  /** First block of the metadata area, whence nids count: 0 in every composefs image so far. */
  readonly metaBlkaddr: number;
  /** The block whence ids of shared xattrs count. */
  readonly xattrBlkaddr: number;
  readonly uuid: ByteString;
  readonly volumeName: ByteString;
}

/** Both of them, and the root's nid, whose inode has not been looked at yet. */
export interface ImageStart {
  readonly header: ComposefsHeader;
  readonly superBlock: SuperBlock;
  readonly rootNid: number;
}

/**
 * Decodes the first 1152 bytes. Throws `not-erofs`, `not-composefs`, `unsupported-image`, and
 * `corrupt-image` where the file is shorter than it says.
 */
export function decodeImageStart(reader: SourceReader): ImageStart {
  checkMagic(reader);
  const header = decodeHeader(reader);
  checkFeatures(reader);
  const at = EROFS_SUPER_OFFSET;
  const superBlock: SuperBlock = {
    featureCompat: reader.u32(at + SUPER_BLOCK.featureCompat),
    featureIncompat: reader.u32(at + SUPER_BLOCK.featureIncompat),
    inos: reader.u64(at + SUPER_BLOCK.inos),
    buildTime: {
      sec: reader.i64(at + SUPER_BLOCK.buildTime),
      nsec: reader.u32(at + SUPER_BLOCK.buildTimeNsec),
    },
    blocks: reader.u32(at + SUPER_BLOCK.blocks),
    metaBlkaddr: reader.u32(at + SUPER_BLOCK.metaBlkaddr),
    xattrBlkaddr: reader.u32(at + SUPER_BLOCK.xattrBlkaddr),
    uuid: reader.text(at + SUPER_BLOCK.uuid, SUPER_BLOCK.volumeName - SUPER_BLOCK.uuid),
    volumeName: reader.text(
      at + SUPER_BLOCK.volumeName,
      SUPER_BLOCK.featureIncompat - SUPER_BLOCK.volumeName,
    ),
  };
  if (superBlock.blocks * EROFS_BLKSIZ > reader.size) {
    throw new ImageError(
      "corrupt-image",
      at + SUPER_BLOCK.blocks,
      `the super block counts ${superBlock.blocks} blocks, the file has ${reader.size} bytes`,
    );
  }
  if (superBlock.inos > reader.size / EROFS_SLOTSIZE) {
    throw new ImageError(
      "corrupt-image",
      at + SUPER_BLOCK.inos,
      `${superBlock.inos} inodes do not fit into ${reader.size} bytes`,
    );
  }
  return { header, superBlock, rootNid: reader.u16(at + SUPER_BLOCK.rootNid) };
}

function checkMagic(reader: SourceReader): void {
  const isComposefs = reader.size >= 4 && reader.u32(COMPOSEFS_HEADER.magic) === LCFS_EROFS_MAGIC;
  if (reader.size < EROFS_SUPER_OFFSET + SUPER_BLOCK.size) {
    if (isComposefs) {
      throw new ImageError("corrupt-image", reader.size, "the file ends before the super block");
    }
    throw new ImageError("not-erofs", 0, "not an EROFS image (too short)");
  }
  if (reader.u32(EROFS_SUPER_OFFSET + SUPER_BLOCK.magic) !== EROFS_SUPER_MAGIC_V1) {
    throw new ImageError("not-erofs", EROFS_SUPER_OFFSET, "not an EROFS image (no EROFS magic)");
  }
  if (!isComposefs) {
    throw new ImageError("not-composefs", 0, "an EROFS image, but not a composefs one");
  }
}

function decodeHeader(reader: SourceReader): ComposefsHeader {
  const headerVersion = reader.u32(COMPOSEFS_HEADER.version);
  if (headerVersion !== LCFS_EROFS_VERSION) {
    throw unsupported(COMPOSEFS_HEADER.version, `composefs header version ${headerVersion}`);
  }
  const version = reader.u32(COMPOSEFS_HEADER.composefsVersion);
  if (!(version in FORMAT_TRAITS)) {
    throw unsupported(COMPOSEFS_HEADER.composefsVersion, `composefs format version ${version}`);
  }
  const flags = reader.u32(COMPOSEFS_HEADER.flags);
  return {
    version: version as FormatVersion,
    hasAcl: (flags & LCFS_EROFS_FLAGS_HAS_ACL) !== 0,
  };
}

/** Compatible features may be ignored, by their name; whatever moves data about may not. */
function checkFeatures(reader: SourceReader): void {
  const at = EROFS_SUPER_OFFSET;
  const lgBlockSize = reader.u8(at + SUPER_BLOCK.blkszbits);
  if (lgBlockSize !== EROFS_BLKSIZ_BITS) {
    throw unsupported(at + SUPER_BLOCK.blkszbits, `blocks of 2^${lgBlockSize} bytes`);
  }
  const incompat = reader.u32(at + SUPER_BLOCK.featureIncompat);
  if ((incompat & ~EROFS_FEATURE_INCOMPAT_CHUNKED_FILE) !== 0) {
    throw unsupported(
      at + SUPER_BLOCK.featureIncompat,
      `incompatible features 0x${incompat.toString(16)}`,
    );
  }
  const mustBeZero = [
    ["sbExtslots", reader.u8(at + SUPER_BLOCK.sbExtslots), "super block extensions"],
    ["union", reader.u16(at + SUPER_BLOCK.union), "compression"],
    ["extraDevices", reader.u16(at + SUPER_BLOCK.extraDevices), "extra devices"],
    ["dirblkbits", reader.u8(at + SUPER_BLOCK.dirblkbits), "large directory blocks"],
    ["xattrPrefixCount", reader.u8(at + SUPER_BLOCK.xattrPrefixCount), "long xattr prefixes"],
    ["packedNid", reader.u64(at + SUPER_BLOCK.packedNid), "a packed inode"],
  ] as const;
  for (const [field, value, what] of mustBeZero) {
    if (value !== 0) throw unsupported(at + SUPER_BLOCK[field], what);
  }
}

function unsupported(offset: number, what: string): ImageError {
  return new ImageError("unsupported-image", offset, `composefs images have no ${what}`);
}
