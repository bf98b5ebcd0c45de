/**
 * The formats: bytes in, bytes out.
 *
 * Pure: no file system, no clock, no randomness, no Node; it runs in a browser. A hash function and a
 * byte source are handed in by the caller.
 */

export * from "./errors.ts";
export * from "./bytes/byte-string.ts";
export * from "./bytes/hex.ts";
export * from "./bytes/source.ts";
export { FS_VERITY_BLOCK_SIZE } from "./fsverity/block-hash.ts";
export type { BlockHash, FsVerityOptions } from "./fsverity/block-hash.ts";
export * from "./fsverity/batch.ts";
export * from "./fsverity/digest.ts";
export * from "./fsverity/formatted-digest.ts";
export * from "./fsverity/hasher.ts";
export * from "./fsverity/range.ts";
export * from "./tree/node.ts";
export * from "./erofs/version.ts";
export * from "./tree/diff.ts";
export * from "./tree/validate.ts";
export * from "./tree/walk.ts";
export * from "./chunked/mod.ts";
export * from "./dump/mod.ts";
export * from "./oci/mod.ts";
export * from "./selinux/mod.ts";
export * from "./signature/mod.ts";
export * from "./splitstream/mod.ts";
export * from "./tar/mod.ts";
export { writeImage } from "./erofs/writer.ts";
export type { WriteImageOptions } from "./erofs/writer.ts";
export { ErofsImage, isDirectory, isFile, isSymlink, openImage } from "./erofs/reader.ts";
export type { RawXattr } from "./erofs/reader.ts";
export type { DirectoryInode, ErofsInode, FileInode, Nid, SymlinkInode } from "./erofs/inode.ts";
export type { DirectoryEntry } from "./erofs/dirent.ts";
export { readTree } from "./erofs/read-tree.ts";
export { walkImage } from "./erofs/walk-image.ts";
export type { ImageEntry, WalkImageOptions } from "./erofs/walk-image.ts";
