/**
 * The TOC and the tar-split of a layer: fetched by ranges and verified, from the annotations in the manifest
 * to the TOC, and from the TOC to the tar-split.
 */

import { hash } from "node:crypto";
import {
  DEFAULT_CHUNKED_LIMITS,
  SKIPPABLE_HEADER_SIZE,
  corruptChunked,
} from "../../core/chunked/format.ts";
import type { ChunkedLimits } from "../../core/chunked/format.ts";
import type { BlobPart, ChunkedAnnotations } from "../../core/chunked/positions.ts";
import { parseChunkedToc } from "../../core/chunked/toc.ts";
import type { ChunkedToc } from "../../core/chunked/toc.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Zstd } from "../../floor/mod.ts";
import type { RangeReader } from "./ranges.ts";

/** Both parts, verified. */
export interface ChunkedIndex {
  readonly toc: ChunkedToc;
  /** Yields the JSON lines anew each time; a piece is valid until the next one. Throws `corrupt-chunked`. */
  tarSplit(): Iterable<Uint8Array>;
}

/** The two parts, and what vouches for them. */
export interface WantedIndex extends ChunkedAnnotations {
  readonly tarSplit: BlobPart;
}

/**
 * Reads both out of a reader that begins with them. Throws `content-mismatch` for another digest,
 * `corrupt-chunked`, and what the source throws.
 */
export async function readChunkedIndex(
  reader: RangeReader,
  wanted: WantedIndex,
  zstd: Zstd,
  limits: ChunkedLimits = DEFAULT_CHUNKED_LIMITS,
): Promise<ChunkedIndex> {
  const packedToc = await readPart(reader, wanted.toc, wanted.tocSha256, "table of contents");
  const dataEnd = wanted.toc.offset - SKIPPABLE_HEADER_SIZE;
  const toc = parseChunkedToc(unpackToc(packedToc, wanted.toc, zstd), { dataEnd, limits });
  const tarSplitSha256 = toc.tarSplitSha256 ?? wanted.tarSplitSha256;
  if (tarSplitSha256 === undefined) throw corruptChunked("its tar-split has no digest");
  const packedSplit = await readPart(reader, wanted.tarSplit, tarSplitSha256, "tar-split");
  return { toc, tarSplit: () => unpack(packedSplit, wanted.tarSplit, "tar-split", zstd) };
}

async function readPart(
  reader: RangeReader,
  { offset, length }: BlobPart,
  sha256: string,
  what: string,
): Promise<Uint8Array> {
  const packed = new Uint8Array(length);
  let filled = 0;
  for await (const bytes of reader.read(offset, offset + length)) {
    packed.set(bytes, filled);
    filled += bytes.length;
  }
  const found = hash("sha256", packed, "hex");
  if (found === sha256) return packed;
  throw new ComposefsError(
    "content-mismatch",
    `Cannot read zstd:chunked layer: its ${what} has the digest sha256:${found} instead of sha256:${sha256}`,
    { hint: "the source is broken or hostile; pull the layer whole with --no-partial" },
  );
}

function unpackToc(packed: Uint8Array, part: BlobPart, zstd: Zstd): Uint8Array {
  const json = new Uint8Array(part.uncompressedLength);
  let filled = 0;
  for (const piece of unpack(packed, part, "TOC", zstd)) {
    json.set(piece, filled);
    filled += piece.length;
  }
  return json;
}

/** Decompresses a part, of which it is known before how large it gets. */
function* unpack(
  packed: Uint8Array,
  { uncompressedLength }: BlobPart,
  what: string,
  zstd: Zstd,
): Generator<Uint8Array, void> {
  let size = 0;
  const pieces = zstd.decompress([packed])[Symbol.iterator]();
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = pieces.next();
    } catch (cause) {
      throw corruptChunked(`its ${what} cannot be decompressed`, cause);
    }
    if (next.done === true) break;
    size += next.value.length;
    if (size > uncompressedLength) break;
    yield next.value;
  }
  if (size !== uncompressedLength) {
    throw corruptChunked(`its ${what} has not the ${uncompressedLength} bytes that are announced`);
  }
}
