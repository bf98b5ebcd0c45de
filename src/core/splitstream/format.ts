/**
 * A splitstream: a file taken apart into what is stored inline and what lies in objects, so that the
 * file can be put together again bit for bit.
 *
 * Layout, all numbers little-endian, ranges as absolute offsets of start and end:
 * header, info section, digests of streams, digests of objects, named references (one zstd frame),
 * chunks (one zstd frame). A chunk is a signed 64-bit number: below zero, that many bytes of inline
 * data follow; else it is an index into the digests of objects, whose whole content stands here.
 *
 * Source: composefs-rs 0.9, module splitstream_format.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";

/** What the file begins with, as ASCII; the version is the byte that follows. */
export const SPLITSTREAM_MAGIC = "SplitStream";
export const SPLITSTREAM_VERSION = 0;

/** The one block size of fs-verity that composefs uses: 4096, as a power of two. */
export const LG_BLOCKSIZE = 12;

/** Offsets in the header. */
export const SPLITSTREAM_HEADER = {
  size: 32,
  magic: 0,
  version: 11,
  flags: 12,
  algorithm: 14,
  lgBlocksize: 15,
  info: 16,
} as const;

/**
 * The header of bootc up to 1.15: a compiler had put the fields into an order of its own. Written by
 * nobody any more, and still in repositories.
 */
export const OLD_SPLITSTREAM_HEADER = {
  info: 0,
  flags: 16,
  magic: 18,
  version: 29,
  algorithm: 30,
  lgBlocksize: 31,
} as const;

/** Offsets in the info section; a longer one is legal. */
export const SPLITSTREAM_INFO = {
  size: 80,
  streamRefs: 0,
  objectRefs: 16,
  stream: 32,
  namedRefs: 48,
  contentType: 64,
  streamSize: 72,
} as const;

/** Content types of OCI, as the 64-bit number that eight ASCII letters make. */
export const CONTENT_TYPE = {
  ociLayer: contentType("ocilayer"),
  ociConfig: contentType("ociconfg"),
  ociManifest: contentType("ocimanif"),
  ociBlob: contentType("oci_blob"),
} as const;

function contentType(letters: string): bigint {
  let value = 0n;
  for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(letters.charCodeAt(i));
  return value;
}

/** A reference from a stream to another stream, or to an EROFS image, by name. */
export interface NamedRef {
  readonly name: ByteString;
  readonly digest: FsVerityDigest;
}
