/**
 * zstd:chunked: a tar archive as zstd frames, one for each file or piece of a file, so that a client that
 * knows where each lies can fetch what it lacks. For everybody else it is an archive compressed by zstd.
 *
 * Layout of a blob:
 *
 *     frames      headers and padding of the archive | content of a file | headers … | end of the archive
 *     skippable   table of contents (TOC): JSON, compressed by zstd
 *     skippable   tar-split: the archive without the content of its files, as JSON lines, compressed by zstd
 *     skippable   footer of 64 bytes: where the other two lie
 *
 * The descriptor of a layer repeats the footer in annotations, with the digest of the TOC: these are what a
 * client trusts, for they belong to the manifest; the TOC has the digest of the tar-split in turn.
 *
 * Source: containers/storage, pkg/chunked (internal/minimal: names and footer); vbatts/tar-split,
 * tar/storage (records); RFC 8878, section 3.1.2 (skippable frames).
 */

import { ComposefsError } from "../errors.ts";

/** Annotations of a layer's descriptor. */
export const CHUNKED_ANNOTATION = {
  /** sha256 of the compressed TOC, as an OCI digest. */
  tocDigest: "io.github.containers.zstd-chunked.manifest-checksum",
  /** `offset:length:uncompressed length:type`, the type being {@link MANIFEST_TYPE_CRFS}. */
  tocPosition: "io.github.containers.zstd-chunked.manifest-position",
  /** `offset:length:uncompressed length`. */
  tarSplitPosition: "io.github.containers.zstd-chunked.tarsplit-position",
  /** sha256 of the compressed tar-split: of writers that do not put it into the TOC. */
  tarSplitDigest: "io.github.containers.zstd-chunked.tarsplit-checksum",
} as const;

/** The one type of TOC there is. */
export const MANIFEST_TYPE_CRFS = 1;

/** Version of the TOC. */
export const TOC_VERSION = 1;

/** Magic and size, in front of the content of a skippable frame. */
export const SKIPPABLE_HEADER_SIZE = 8;
/** The first of the 16 magic numbers of skippable frames (RFC 8878, 3.1.2). */
export const ZSTD_MAGIC_SKIPPABLE_START = 0x184d2a50;

/** The footer without the header of its frame: eight numbers of 64 bits, the last one being the magic. */
export const CHUNKED_FOOTER = {
  size: 64,
  tocOffset: 0,
  tocLength: 8,
  tocUncompressedLength: 16,
  manifestType: 24,
  tarSplitOffset: 32,
  tarSplitLength: 40,
  tarSplitUncompressedLength: 48,
  magic: 56,
} as const;
/** What the footer ends with, as ASCII. */
export const CHUNKED_FOOTER_MAGIC = "GNUlInUx";

/** What a hostile layer may cost: each is checked before the memory is spent. */
export interface ChunkedLimits {
  /** Bytes of the TOC and of the tar-split as they lie in the blob: both are held in memory. */
  readonly compressedSize: number;
  /** Bytes of the TOC's JSON. */
  readonly tocSize: number;
  /** Entries of the TOC, pieces of files counted. */
  readonly entries: number;
  /** Xattrs of all entries together. */
  readonly xattrs: number;
  /** Bytes of the tar-split's JSON, which is read as a stream. It has two records an entry. */
  readonly tarSplitSize: number;
  /** Bytes of the JSON of one entry, or of one record of the tar-split. */
  readonly recordSize: number;
}

/** The limits unless told otherwise: ten times the largest images in use. */
export const DEFAULT_CHUNKED_LIMITS: ChunkedLimits = {
  compressedSize: 64 << 20,
  tocSize: 128 << 20,
  entries: 1_000_000,
  xattrs: 1_000_000,
  tarSplitSize: 2 ** 30,
  recordSize: 8 << 20,
};

/** The error of everything that is wrong with a blob. The reason is a clause. */
export function corruptChunked(reason: string, cause?: unknown): ComposefsError {
  return new ComposefsError("corrupt-chunked", `Cannot read zstd:chunked layer: ${reason}`, {
    hint: "pull it whole with --no-partial",
    ...(cause === undefined ? {} : { cause }),
  });
}
