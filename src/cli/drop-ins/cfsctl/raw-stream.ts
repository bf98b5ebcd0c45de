/**
 * Streams as they lie in a repository, right or wrong: for checks that tell what is wrong themselves. All
 * else opens streams through the repository, which verifies them.
 */

import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../core/errors.ts";
import type { FsVerityDigest } from "../../../core/fsverity/digest.ts";
import { openSplitStream } from "../../../core/splitstream/mod.ts";
import type { Decompression, NamedRef } from "../../../core/splitstream/mod.ts";
import {
  O_NONBLOCK,
  O_RDONLY,
  SyscallError,
  close,
  fileSourceOf,
  fstat,
  openat,
  preadFully,
} from "../../../floor/mod.ts";
import type { Repository } from "../../../store/mod.ts";
import { openObjectOrFault } from "../../../store/survey/check-object.ts";

/** What a stream refers to. */
export interface RawStream {
  readonly contentType: bigint;
  readonly objectRefs: readonly FsVerityDigest[];
  readonly namedRefs: readonly NamedRef[];
}

/** No document that anybody reads is larger. */
const DOCUMENT_MAX = 1 << 26;

/** Reads a stream; `undefined` where that is not possible. */
export function readRawStream(
  repository: Repository,
  name: ByteString,
  decompression: Decompression,
): RawStream | undefined {
  try {
    const fd = openat(repository.dirfd, `streams/${name}`, O_RDONLY | O_NONBLOCK);
    const source = fileSourceOf(fd, `streams/${name}`);
    try {
      const stream = openSplitStream(source);
      if (stream.algorithm !== repository.algorithm) return undefined;
      const { contentType, objectRefs } = stream;
      return { contentType, objectRefs, namedRefs: stream.namedRefs(decompression) };
    } finally {
      source.close();
    }
  } catch (error) {
    if (error instanceof ComposefsError || error instanceof SyscallError) return undefined;
    throw error;
  }
}

/** A document that is a stream's one object, not verified; or why there is none. */
export function readRawDocument(
  repository: Repository,
  name: ByteString,
  contentType: bigint,
  decompression: Decompression,
): { readonly bytes: Uint8Array; readonly stream: RawStream } | string {
  const stream = readRawStream(repository, name, decompression);
  if (stream === undefined || stream.contentType !== contentType) return `Opening stream '${name}'`;
  const [object, ...rest] = stream.objectRefs;
  if (object === undefined || rest.length > 0) {
    return `Expected exactly 1 external object in splitstream, got ${stream.objectRefs.length}`;
  }
  const fd = openObjectOrFault(repository.dirfd, object);
  if (typeof fd !== "number") return `Opening object ${repository.algorithm}:${object}`;
  try {
    const { size } = fstat(fd);
    if (size > DOCUMENT_MAX) return `Reading object ${object}: it has ${size} bytes`;
    const bytes = new Uint8Array(size);
    return { bytes: bytes.subarray(0, preadFully(fd, bytes, 0)), stream };
  } finally {
    close(fd);
  }
}
