/** Where the TOC and the tar-split lie: in the annotations of a layer and in the footer of its blob. */

import { byteString, byteStringFrom, writeByteString } from "../bytes/byte-string.ts";
import {
  CHUNKED_ANNOTATION,
  CHUNKED_FOOTER,
  CHUNKED_FOOTER_MAGIC,
  DEFAULT_CHUNKED_LIMITS,
  MANIFEST_TYPE_CRFS,
  SKIPPABLE_HEADER_SIZE,
  corruptChunked,
} from "./format.ts";
import type { ChunkedLimits } from "./format.ts";

/** A part of a blob that is compressed by itself. */
export interface BlobPart {
  /** From the start of the blob, behind the header of the skippable frame. */
  readonly offset: number;
  /** Bytes in the blob. */
  readonly length: number;
  readonly uncompressedLength: number;
}

/** Both parts. A blob of an old writer has no tar-split. */
export interface ChunkedPositions {
  readonly toc: BlobPart;
  readonly tarSplit: BlobPart | undefined;
}

/** What the annotations of a layer say. */
export interface ChunkedAnnotations extends ChunkedPositions {
  /** sha256 of the compressed TOC, in hexadecimal. */
  readonly tocSha256: string;
  /** sha256 of the compressed tar-split, from writers that put it here and not into the TOC. */
  readonly tarSplitSha256: string | undefined;
}

/**
 * Reads the annotations of a layer; `undefined` when they say that it is no zstd:chunked. `blobSize` is the
 * size of the blob in the descriptor. Throws `corrupt-chunked`.
 */
export function parseChunkedAnnotations(
  annotations: Readonly<Record<string, string>>,
  blobSize: number,
  limits: ChunkedLimits = DEFAULT_CHUNKED_LIMITS,
): ChunkedAnnotations | undefined {
  const own = (key: string): string | undefined =>
    Object.hasOwn(annotations, key) ? annotations[key] : undefined;
  const digest = own(CHUNKED_ANNOTATION.tocDigest);
  if (digest === undefined) return undefined;
  const tocPosition = own(CHUNKED_ANNOTATION.tocPosition);
  if (tocPosition === undefined) {
    throw corruptChunked(`annotation "${CHUNKED_ANNOTATION.tocPosition}" is missing`);
  }
  const tarSplitPosition = own(CHUNKED_ANNOTATION.tarSplitPosition);
  const tarSplitDigest = own(CHUNKED_ANNOTATION.tarSplitDigest);
  const [type, ...toc] = rotate(numbers(CHUNKED_ANNOTATION.tocPosition, tocPosition, 4));
  if (type !== MANIFEST_TYPE_CRFS) throw corruptChunked(`its TOC is of type ${type}, not 1`);
  const tarSplit =
    tarSplitPosition === undefined
      ? undefined
      : numbers(CHUNKED_ANNOTATION.tarSplitPosition, tarSplitPosition, 3);
  return {
    ...checkedPositions(toc, tarSplit, blobSize, limits),
    tocSha256: sha256Of(digest, CHUNKED_ANNOTATION.tocDigest),
    tarSplitSha256:
      tarSplitDigest === undefined
        ? undefined
        : sha256Of(tarSplitDigest, CHUNKED_ANNOTATION.tarSplitDigest),
  };
}

/** The annotations of a layer whose TOC has this sha256, in hexadecimal. */
export function formatChunkedAnnotations(
  { toc, tarSplit }: ChunkedPositions,
  tocSha256: string,
): Record<string, string> {
  const position = (part: BlobPart): string =>
    `${part.offset}:${part.length}:${part.uncompressedLength}`;
  return {
    [CHUNKED_ANNOTATION.tocDigest]: `sha256:${tocSha256}`,
    [CHUNKED_ANNOTATION.tocPosition]: `${position(toc)}:${MANIFEST_TYPE_CRFS}`,
    ...(tarSplit === undefined
      ? {}
      : { [CHUNKED_ANNOTATION.tarSplitPosition]: position(tarSplit) }),
  };
}

/** The footer, without the header of its frame. */
export function encodeChunkedFooter({ toc, tarSplit }: ChunkedPositions): Uint8Array {
  const footer = new Uint8Array(CHUNKED_FOOTER.size);
  const view = new DataView(footer.buffer);
  const put = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  put(CHUNKED_FOOTER.tocOffset, toc.offset);
  put(CHUNKED_FOOTER.tocLength, toc.length);
  put(CHUNKED_FOOTER.tocUncompressedLength, toc.uncompressedLength);
  put(CHUNKED_FOOTER.manifestType, MANIFEST_TYPE_CRFS);
  put(CHUNKED_FOOTER.tarSplitOffset, tarSplit?.offset ?? 0);
  put(CHUNKED_FOOTER.tarSplitLength, tarSplit?.length ?? 0);
  put(CHUNKED_FOOTER.tarSplitUncompressedLength, tarSplit?.uncompressedLength ?? 0);
  writeByteString(byteString(CHUNKED_FOOTER_MAGIC), footer, CHUNKED_FOOTER.magic);
  return footer;
}

/**
 * Reads the footer out of the last 64 bytes of a blob of `blobSize` bytes; `undefined` when the magic is
 * missing. It says where things are and nothing about their digests: a pull trusts the annotations instead.
 * Throws `corrupt-chunked`.
 */
export function decodeChunkedFooter(
  footer: Uint8Array,
  blobSize: number,
  limits: ChunkedLimits = DEFAULT_CHUNKED_LIMITS,
): ChunkedPositions | undefined {
  if (footer.length !== CHUNKED_FOOTER.size) throw corruptChunked("its footer is cut");
  if (byteStringFrom(footer.subarray(CHUNKED_FOOTER.magic)) !== CHUNKED_FOOTER_MAGIC)
    return undefined;
  const view = new DataView(footer.buffer, footer.byteOffset, footer.length);
  const get = (at: number): number => {
    const value = view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw corruptChunked("a number of its footer is absurd");
    return Number(value);
  };
  const type = get(CHUNKED_FOOTER.manifestType);
  if (type !== MANIFEST_TYPE_CRFS) throw corruptChunked(`its TOC is of type ${type}, not 1`);
  const toc = [
    get(CHUNKED_FOOTER.tocOffset),
    get(CHUNKED_FOOTER.tocLength),
    get(CHUNKED_FOOTER.tocUncompressedLength),
  ];
  const tarSplit = [
    get(CHUNKED_FOOTER.tarSplitOffset),
    get(CHUNKED_FOOTER.tarSplitLength),
    get(CHUNKED_FOOTER.tarSplitUncompressedLength),
  ];
  return checkedPositions(toc, tarSplit[0] === 0 ? undefined : tarSplit, blobSize, limits);
}

/** Takes a digest apart; only sha256 is in use here. Throws `corrupt-chunked`. */
export function sha256Of(digest: string, what: string): string {
  const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(digest) ?? [];
  if (hex === undefined) {
    throw corruptChunked(`${what} is "${digest.slice(0, 100)}", not a sha256 digest`);
  }
  return hex;
}

function checkedPositions(
  toc: readonly number[],
  tarSplit: readonly number[] | undefined,
  blobSize: number,
  limits: ChunkedLimits,
): ChunkedPositions {
  const positions = {
    toc: checkedPart("TOC", toc, blobSize, limits, limits.tocSize),
    tarSplit:
      tarSplit === undefined
        ? undefined
        : checkedPart("tar-split", tarSplit, blobSize, limits, limits.tarSplitSize),
  };
  if (
    positions.tarSplit !== undefined &&
    positions.tarSplit.offset < positions.toc.offset + positions.toc.length + SKIPPABLE_HEADER_SIZE
  ) {
    throw corruptChunked("its tar-split does not follow its TOC");
  }
  return positions;
}

function checkedPart(
  what: string,
  [offset = 0, length = 0, uncompressedLength = 0]: readonly number[],
  blobSize: number,
  limits: ChunkedLimits,
  uncompressedMax: number,
): BlobPart {
  if (offset < SKIPPABLE_HEADER_SIZE || length === 0 || offset + length > blobSize) {
    throw corruptChunked(`its ${what} of ${length} bytes at ${offset} lies outside of the blob`);
  }
  if (length > limits.compressedSize || uncompressedLength > uncompressedMax) {
    throw corruptChunked(`its ${what} of ${length} bytes (${uncompressedLength}) is too large`);
  }
  return { offset, length, uncompressedLength };
}

function numbers(key: string, text: string, count: number): number[] {
  const fields = text.split(":");
  const values = fields.map((field) => (/^\d{1,16}$/.test(field) ? Number(field) : Number.NaN));
  if (fields.length !== count || !values.every(Number.isSafeInteger)) {
    throw corruptChunked(`annotation "${key}" is "${text.slice(0, 100)}", not ${count} numbers`);
  }
  return values;
}

/** The last first. */
function rotate(values: readonly number[]): number[] {
  return [values.at(-1)!, ...values.slice(0, -1)];
}
