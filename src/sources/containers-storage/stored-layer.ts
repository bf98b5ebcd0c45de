/**
 * A layer of podman's storage as the archive that it was: what is no file comes out of its tar-split,
 * files are opened where they lie. The archive is hashed as it goes by.
 */

import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { readTarSplit } from "../../core/chunked/tar-split.ts";
import type { TarSplitRecord } from "../../core/chunked/tar-split.ts";
import { ComposefsError } from "../../core/errors.ts";
import { LAYER_INLINE_MAX } from "../../core/oci/layer-entry.ts";
import { formatOciDigest, ociDigestAlgorithm } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { isErrno } from "../../floor/errors.ts";
import { O_NONBLOCK, O_RDONLY, close, fstat, preadFully } from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import { openBeneath } from "../../floor/open-beneath.ts";
import { decompressLayer } from "../decompress.ts";
import { readFilePart } from "../image-files.ts";
import type { FilePart } from "../image-files.ts";
import type { LayerPiece } from "../image-source.ts";
import { corruptStore } from "./image-store.ts";

/** Segments are joined up to this size. */
const PIECE = 1 << 18;
/** One record: a header with all its extensions. */
const RECORD_MAX = 1 << 24;
const NEWLINE = 0x0a;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Where a layer lies. */
export interface LayerPlaces {
  readonly tarSplit: FilePart;
  /** The directory with its files. */
  readonly content: Fd;
  readonly diffId: OciDigest;
  /** For messages. */
  readonly name: string;
}

/** Yields the pieces of the archive. Throws `corrupt-archive`, and `content-mismatch` at the end. */
export async function* readStoredLayer(
  places: LayerPlaces,
  signal?: AbortSignal,
): AsyncGenerator<LayerPiece, void> {
  const { diffId, name } = places;
  const algorithm = ociDigestAlgorithm(diffId);
  const hash = createHash(algorithm);
  let segments: Uint8Array[] = [];
  let size = 0;
  for await (const record of readRecords(places, signal)) {
    if (record.kind === "file" && record.size === 0) continue;
    if (record.kind === "segment" || record.size <= LAYER_INLINE_MAX) {
      const bytes = record.kind === "segment" ? record.bytes : readSmall(places, record);
      segments.push(bytes);
      size += bytes.length;
      if (size < PIECE) continue;
    }
    if (size > 0) yield tarPiece(segments, hash);
    segments = [];
    size = 0;
    if (record.kind === "file" && record.size > LAYER_INLINE_MAX) {
      yield* filePiece(places, record, hash, signal);
    }
  }
  if (size > 0) yield tarPiece(segments, hash);
  const digest = formatOciDigest(algorithm, hash.digest());
  if (digest === diffId) return;
  throw new ComposefsError(
    "content-mismatch",
    `Cannot use ${diffId} of "${name}": its archive comes out as ${digest}`,
    // Nor can podman itself push or save such a layer.
    {
      hint: "pull it from its registry: podman keeps no map of sparse files, or a file was changed",
    },
  );
}

type FileRecord = Extract<TarSplitRecord, { readonly kind: "file" }>;

function tarPiece(segments: readonly Uint8Array[], hash: Hash): LayerPiece {
  const bytes = segments.length === 1 ? segments[0]! : Buffer.concat(segments);
  hash.update(bytes);
  return { kind: "tar", bytes };
}

function readSmall(places: LayerPlaces, record: FileRecord): Uint8Array {
  const fd = openContent(places, record);
  try {
    const bytes = new Uint8Array(record.size);
    preadFully(fd, bytes, 0);
    return bytes;
  } finally {
    close(fd);
  }
}

async function* filePiece(
  places: LayerPlaces,
  record: FileRecord,
  hash: Hash,
  signal?: AbortSignal,
): AsyncGenerator<LayerPiece, void> {
  const { size } = record;
  const fd = openContent(places, record);
  try {
    for await (const bytes of readFilePart({ fd, offset: 0, size }, signal)) hash.update(bytes);
    yield { kind: "file", fd, size };
  } finally {
    close(fd);
  }
}

/** Opens a file of the layer. What it is now need not be what it was: size and digest tell. */
function openContent({ content, name, diffId }: LayerPlaces, record: FileRecord): Fd {
  const shown = displayText(record.name);
  let fd: Fd;
  try {
    fd = openBeneath(content, relativePath(record.name), O_RDONLY | O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, "EACCES", "EPERM")) {
      throw new ComposefsError("source-unreadable", `Cannot read "${shown}" of "${name}"`, {
        cause: error,
        hint: "run it by `podman unshare`, which may read what other users own",
      });
    }
    if (!isErrno(error, "ENOENT", "ENOTDIR", "EXDEV", "ELOOP", "ENXIO")) throw error;
    throw corruptStore(name, `file "${shown}" of layer ${diffId} is not there`, error);
  }
  const stat = fstat(fd);
  if ((stat.mode & S_IFMT) === S_IFREG && stat.size === record.size) return fd;
  close(fd);
  throw corruptStore(name, `file "${shown}" of layer ${diffId} is another one`);
}

function relativePath(path: ByteString): ByteString {
  return (path.replace(/^(?:\.?\/)+/, "") || ".") as ByteString;
}

async function* readRecords(
  { tarSplit, name, diffId }: LayerPlaces,
  signal?: AbortSignal,
): AsyncGenerator<TarSplitRecord, void> {
  try {
    let rest: Uint8Array = new Uint8Array(0);
    for await (const piece of decompressLayer(readFilePart(tarSplit, signal), "gzip")) {
      const end = piece.lastIndexOf(NEWLINE) + 1;
      if (rest.length + piece.length > RECORD_MAX + PIECE && end === 0) {
        throw corruptStore(name, `the tar-split of layer ${diffId} has no end of a line`);
      }
      if (end > 0) yield* readTarSplit([rest, piece.subarray(0, end)]);
      rest = end > 0 ? piece.subarray(end) : Buffer.concat([rest, piece]);
    }
    yield* readTarSplit([rest]);
  } catch (error) {
    if (!(error instanceof ComposefsError) || error.code !== "corrupt-chunked") throw error;
    throw corruptStore(name, `the tar-split of layer ${diffId} cannot be read`, error);
  }
}
