/**
 * EROFS and composefs on disk: the numbers, under the kernel's own names.
 *
 * Source: Linux 6.18 fs/erofs/erofs_fs.h; composefs libcomposefs/lcfs-erofs.h (version 1.0.8). All
 * integers are little-endian. A composefs image starts with the composefs header at 0, has the EROFS
 * super block at 1024, inodes in 32-byte slots right behind it, shared xattrs, then whole blocks.
 */

/** `lcfs_erofs_header_s`: 32 bytes at offset 0. */
export const LCFS_EROFS_MAGIC = 0xd078629a;
export const LCFS_EROFS_VERSION = 1;
export const LCFS_EROFS_FLAGS_HAS_ACL = 1 << 0;
export const COMPOSEFS_HEADER = {
  magic: 0,
  version: 4,
  flags: 8,
  composefsVersion: 12,
  size: 32,
} as const;

/** `erofs_super_block`: 128 bytes at offset 1024. Field offsets are relative to its start. */
export const EROFS_SUPER_MAGIC_V1 = 0xe0f5e1e2;
export const EROFS_SUPER_OFFSET = 1024;
export const EROFS_FEATURE_COMPAT_MTIME = 0x00000002;
export const EROFS_FEATURE_COMPAT_XATTR_FILTER = 0x00000004;
export const SUPER_BLOCK = {
  magic: 0,
  checksum: 4,
  featureCompat: 8,
  blkszbits: 12,
  sbExtslots: 13,
  rootNid: 14,
  inos: 16,
  buildTime: 24,
  buildTimeNsec: 32,
  blocks: 36,
  metaBlkaddr: 40,
  xattrBlkaddr: 44,
  uuid: 48,
  volumeName: 64,
  featureIncompat: 80,
  union: 84,
  extraDevices: 86,
  devtSlotoff: 88,
  dirblkbits: 90,
  xattrPrefixCount: 91,
  xattrPrefixStart: 92,
  packedNid: 96,
  xattrFilterReserved: 104,
  reserved: 105,
  size: 128,
} as const;

export const EROFS_BLKSIZ_BITS = 12;
export const EROFS_BLKSIZ = 1 << EROFS_BLKSIZ_BITS;
export const EROFS_ISLOTBITS = 5;
/** Bytes of an inode slot; a nid counts slots from the start of the metadata area. */
export const EROFS_SLOTSIZE = 1 << EROFS_ISLOTBITS;

/** `erofs_inode_compact` (32 bytes) and `erofs_inode_extended` (64 bytes). */
export const INODE_COMPACT = {
  format: 0,
  xattrIcount: 2,
  mode: 4,
  nlink: 6,
  fileSize: 8,
  reserved: 12,
  u: 16,
  ino: 20,
  uid: 24,
  gid: 26,
  reserved2: 28,
  size: 32,
} as const;
export const INODE_EXTENDED = {
  format: 0,
  xattrIcount: 2,
  mode: 4,
  reserved: 6,
  fileSize: 8,
  u: 16,
  ino: 20,
  uid: 24,
  gid: 28,
  mtime: 32,
  mtimeNsec: 40,
  nlink: 44,
  reserved2: 48,
  size: 64,
} as const;

/** Bits of `i_format`. */
export const EROFS_I_VERSION_BIT = 0;
export const EROFS_I_VERSION_MASK = 0x01;
export const EROFS_I_DATALAYOUT_BIT = 1;
export const EROFS_I_DATALAYOUT_MASK = 0x07;
export const EROFS_I_ALL = 0x0f;

/** Data layouts. */
export const EROFS_INODE_FLAT_PLAIN = 0;
export const EROFS_INODE_COMPRESSED_FULL = 1;
export const EROFS_INODE_FLAT_INLINE = 2;
export const EROFS_INODE_COMPRESSED_COMPACT = 3;
export const EROFS_INODE_CHUNK_BASED = 4;

/** Chunk format bits in `i_u` of a chunk-based inode, and the address that means "a hole". */
export const EROFS_CHUNK_FORMAT_BLKBITS_MASK = 0x001f;
export const EROFS_CHUNK_FORMAT_INDEXES = 0x0020;
export const EROFS_CHUNK_FORMAT_ALL = 0x003f;
export const EROFS_NULL_ADDR = 0xffffffff;

/** `erofs_dirent`: 12 bytes; the names follow the last one of their block. */
export const DIRENT = { nid: 0, nameoff: 8, fileType: 10, reserved: 11, size: 12 } as const;
export const EROFS_NAME_LEN = 255;
export const EROFS_FT = {
  file: 1,
  directory: 2,
  chardev: 3,
  blockdev: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
} as const;

/** `erofs_xattr_ibody_header` (12 bytes) and `erofs_xattr_entry` (4 bytes before name and value). */
export const XATTR_IBODY_HEADER = { nameFilter: 0, sharedCount: 4, reserved: 5, size: 12 } as const;
export const XATTR_ENTRY = { nameLen: 0, nameIndex: 1, valueSize: 2, size: 4 } as const;
export const EROFS_XATTR_FILTER_BITS = 32;
export const EROFS_XATTR_FILTER_DEFAULT = 0xffffffff;
export const EROFS_XATTR_FILTER_SEED = 0x25bbe08f;
/** In a name index: the prefix is one of the long ones, which composefs never writes. */
export const EROFS_XATTR_LONG_PREFIX = 0x80;

/** The prefix that each xattr name index stands for. */
export const EROFS_XATTR_PREFIXES = [
  "",
  "user.",
  "system.posix_acl_access",
  "system.posix_acl_default",
  "trusted.",
  "lustre.",
  "security.",
] as const;
export const EROFS_XATTR_INDEX_LUSTRE = 5;

/** Limits of composefs itself (libcomposefs/lcfs-writer.h). */
export const LCFS_INLINE_CONTENT_MAX = 5000;
export const LCFS_RECOMMENDED_INLINE_CONTENT_MAX = 64;
export const LCFS_MAX_NAME_LENGTH = 255;
export const LCFS_INODE_EXTERNAL_XATTR_MAX = 32767;
export const LCFS_MAX_NONINLINE_CHUNKS = 1024;
export const PATH_MAX = 4096;
export const XATTR_NAME_MAX = 255;
