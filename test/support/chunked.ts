/** zstd:chunked blobs in tests: archives to blobs, blobs taken apart. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  CHUNKED_FOOTER,
  ChunkedLayerWriter,
  decodeChunkedFooter,
  parseChunkedAnnotations,
  parseChunkedToc,
  readTarSplit,
  reassembleLayer,
} from "#src/core/mod.ts";
import type {
  BlobPart,
  ChunkedLayer,
  ChunkedToc,
  Compression,
  Decompression,
} from "#src/core/mod.ts";
import { storedZstd } from "./zstd.ts";

/** A blob and what was said about it. */
export interface ChunkedBlob extends ChunkedLayer {
  readonly blob: Buffer;
}

/** sha256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Makes a blob; without compression, unless one is given, which is slower. */
export function chunkedBlob(
  archive: Uint8Array,
  compression?: Compression,
  chunkSize = 1 << 20,
): ChunkedBlob {
  const writer = new ChunkedLayerWriter({
    sha256: () => createHash("sha256"),
    ...(compression === undefined ? {} : { compression }),
  });
  const parts: Uint8Array[] = [];
  for (let at = 0; at < archive.length; at += chunkSize) {
    // In a buffer that is overwritten afterwards: nothing may be kept of a chunk.
    const chunk = Uint8Array.prototype.slice.call(archive, at, at + chunkSize);
    parts.push(...writer.push(chunk));
    chunk.fill(0xee);
  }
  parts.push(...writer.finish());
  return { blob: Buffer.concat(parts), ...writer.result() };
}

/** A part of a blob, decompressed. */
function partOf(
  blob: Uint8Array,
  part: BlobPart,
  decompression: Decompression = storedZstd,
): Buffer {
  return inflate(blob.subarray(part.offset, part.offset + part.length), decompression);
}

/** Frames decompressed. */
export function inflate(frames: Uint8Array, decompression: Decompression = storedZstd): Buffer {
  const pieces: Buffer[] = [];
  for (const piece of decompression.decompress([frames])) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The footer of a blob. */
export function footerOf(blob: Uint8Array): Uint8Array {
  return blob.subarray(blob.length - CHUNKED_FOOTER.size);
}

/** The TOC of a blob, and its tar-split, decompressed; both verified by the annotations. */
export function indexOf(
  { blob, annotations }: Pick<ChunkedBlob, "blob" | "annotations">,
  decompression: Decompression = storedZstd,
): { readonly toc: ChunkedToc; readonly tocJson: Buffer; readonly tarSplit: Buffer } {
  const positions = parseChunkedAnnotations(annotations, blob.length);
  if (positions?.tarSplit === undefined) throw new Error("no zstd:chunked blob with a tar-split");
  const footer = decodeChunkedFooter(footerOf(blob), blob.length);
  const { tocSha256, tarSplitSha256: _, ...both } = positions;
  if (JSON.stringify(footer) !== JSON.stringify(both)) throw new Error("annotations and footer");
  const { toc: tocPart, tarSplit: tarSplitPart } = positions;
  const packed = (part: BlobPart): Uint8Array =>
    blob.subarray(part.offset, part.offset + part.length);
  if (sha256(packed(tocPart)) !== tocSha256) throw new Error("digest of the TOC");
  const tocJson = partOf(blob, tocPart, decompression);
  const toc = parseChunkedToc(tocJson, { dataEnd: tocPart.offset - 8 });
  if (sha256(packed(tarSplitPart)) !== toc.tarSplitSha256) throw new Error("digest of tar-split");
  return { toc, tocJson, tarSplit: partOf(blob, tarSplitPart, decompression) };
}

/** The archive, put together from the tar-split and from each chunk by itself, every digest checked. */
export function rejoined(
  made: Pick<ChunkedBlob, "blob" | "annotations">,
  decompression: Decompression = storedZstd,
): Buffer {
  const { toc, tarSplit } = indexOf(made, decompression);
  const parts: Buffer[] = [];
  for (const part of reassembleLayer(toc, readTarSplit([tarSplit]))) {
    if (part.kind === "raw") {
      parts.push(Buffer.from(part.bytes));
      continue;
    }
    const content = part.toc.chunks.map((chunk) => {
      const bytes = inflate(made.blob.subarray(chunk.offset, chunk.end), decompression);
      if (bytes.length !== chunk.size) throw new Error("size of a chunk");
      if (chunk.kind === "zeros" && !bytes.every((byte) => byte === 0)) throw new Error("zeros");
      if (sha256(bytes) !== chunk.sha256) throw new Error("digest of a chunk");
      return bytes;
    });
    if (sha256(Buffer.concat(content)) !== part.toc.sha256) throw new Error("digest of a file");
    parts.push(...content);
  }
  return Buffer.concat(parts);
}
