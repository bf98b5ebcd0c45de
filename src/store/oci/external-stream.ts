/**
 * Streams that are one object: manifests, configs and the blobs of artifacts. The object has the very
 * bytes, the stream what belongs to them.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Compression, Decompression } from "../../core/splitstream/compression.ts";
import { SplitStreamWriter } from "../../core/splitstream/writer.ts";
import type { Repository } from "../repository.ts";

/** A stream of one object, read. */
export interface ExternalStream {
  readonly digest: FsVerityDigest;
  readonly bytes: Uint8Array;
  readonly refs: ReadonlyMap<ByteString, FsVerityDigest>;
}

/** What such a stream is made of. */
export interface ExternalStreamInput {
  readonly contentType: bigint;
  readonly object: FsVerityDigest;
  /** Bytes of the object. */
  readonly size: number;
  /** In the order that their digests will have. */
  readonly refs: Iterable<readonly [name: ByteString, digest: FsVerityDigest]>;
}

/** Returns the bytes of a stream of one object. */
export function encodeExternalStream(
  input: ExternalStreamInput,
  algorithm: FsVerityAlgorithm,
  compression: Compression | undefined,
): Uint8Array {
  const { contentType, object, size, refs } = input;
  const writer = new SplitStreamWriter({
    algorithm,
    contentType,
    ...(compression === undefined ? {} : { compression }),
  });
  for (const [name, digest] of refs) writer.addNamedRef(name, digest);
  writer.writeExternal(size, object);
  return writer.finish();
}

/**
 * Reads a stream of one object of at most `maxBytes`. Throws `not-in-repository` where there is none,
 * `corrupt-stream` where it is another kind of stream.
 */
export function readExternalStream(
  repo: Repository,
  name: ByteString,
  contentType: bigint,
  decompression: Decompression,
  maxBytes: number,
): ExternalStream {
  const { digest, stream, close } = repo.openStream(name);
  try {
    const object = stream.objectRefs[0];
    if (stream.contentType !== contentType || object === undefined) {
      throw new ComposefsError(
        "corrupt-stream",
        `Cannot read stream "${displayText(name)}": it does not hold what its name says`,
      );
    }
    const refs = new Map(
      stream.namedRefs(decompression).map((ref) => [ref.name, ref.digest] as const),
    );
    return { digest, bytes: repo.readObject(object, maxBytes), refs };
  } finally {
    close();
  }
}
