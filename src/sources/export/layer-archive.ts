/** A layer of a repository as the archive that it was, out of its splitstream and its objects. */

import { createHash } from "node:crypto";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { formatOciDigest, ociDigestAlgorithm } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { SplitStream } from "../../core/splitstream/reader.ts";
import { close, fstat, preadFully } from "../../floor/mod.ts";
import type { Zstd } from "../../floor/mod.ts";
import { layerStreamName } from "../../store/mod.ts";
import type { Repository } from "../../store/mod.ts";

/** Bytes that are handed on at a time. */
const PIECE = 1 << 20;

/** What is needed to read layers. */
export interface LayerReading {
  readonly repo: Repository;
  readonly zstd: Zstd;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of a layer's archive, or of an artifact's blob. Throws `not-in-repository`, `corrupt-stream`. */
export function layerArchiveSize({ repo }: LayerReading, diffId: OciDigest): number {
  const { stream, close: closeStream } = repo.openStream(layerStreamName(diffId));
  closeStream();
  return stream.size;
}

/**
 * Yields the archive in pieces that are the caller's. Throws `object-corrupt` instead of ending where it
 * is not what its diff ID says.
 */
export async function* readLayerArchive(
  reading: LayerReading,
  diffId: OciDigest,
): AsyncGenerator<Uint8Array, void> {
  const { repo, signal } = reading;
  const algorithm = ociDigestAlgorithm(diffId);
  const hash = createHash(algorithm);
  const { stream, close: closeStream } = repo.openStream(layerStreamName(diffId));
  try {
    for (const bytes of pieces(stream, reading)) {
      signal?.throwIfAborted();
      hash.update(bytes);
      yield bytes;
    }
  } finally {
    closeStream();
  }
  const digest = formatOciDigest(algorithm, hash.digest());
  if (digest === diffId) return;
  throw new ComposefsError(
    "object-corrupt",
    `Cannot read layer ${diffId}: its stream and its objects make ${digest}`,
    { hint: "`composefs repo fsck` finds what is damaged" },
  );
}

function* pieces(stream: SplitStream, { repo, zstd }: LayerReading): Generator<Uint8Array, void> {
  let piece = new Uint8Array(PIECE);
  let filled = 0;
  for (const chunk of stream.chunks(zstd)) {
    const content = chunk.kind === "inline" ? viewed(chunk.bytes) : opened(repo, chunk.digest);
    try {
      for (let at = 0; at < content.size;) {
        const wanted = Math.min(content.size - at, PIECE - filled);
        content.read(piece.subarray(filled, filled + wanted), at);
        at += wanted;
        filled += wanted;
        if (filled < PIECE) continue;
        yield piece;
        piece = new Uint8Array(PIECE);
        filled = 0;
      }
    } finally {
      content.close();
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

/** Bytes that are copied into pieces. */
interface Content {
  readonly size: number;
  read(into: Uint8Array, at: number): void;
  close(): void;
}

function viewed(bytes: Uint8Array): Content {
  return {
    size: bytes.length,
    read: (into, at) => into.set(bytes.subarray(at, at + into.length)),
    close: () => undefined,
  };
}

function opened(repo: Repository, digest: FsVerityDigest): Content {
  const fd = repo.openObject(digest);
  return {
    size: fstat(fd).size,
    read(into, at) {
      if (preadFully(fd, into, at) === into.length) return;
      throw new ComposefsError("object-corrupt", `Cannot read object ${digest}: it became shorter`);
    },
    close: () => close(fd),
  };
}
