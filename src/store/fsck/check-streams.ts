/** The streams: whether they can be read, and what they lack. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { SplitStream } from "../../core/splitstream/reader.ts";
import { SyscallError, close, fileSourceOf } from "../../floor/mod.ts";
import { openObjectOrFault } from "../survey/check-object.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";
import type { ObjectStates } from "./object-states.ts";

/** A stream as fsck knows it. */
export interface CheckedStream {
  readonly name: ByteString;
  readonly digest: FsVerityDigest;
  /** Why it cannot be read; `undefined` if it can. */
  readonly trouble: string | undefined;
  /** The object of the stream itself is missing or damaged: that is told elsewhere. */
  readonly isObjectDamaged: boolean;
  /** Its objects that are missing or damaged. */
  readonly lacks: readonly FsVerityDigest[];
  /** Streams and images that it refers to. */
  readonly refs: readonly FsVerityDigest[];
}

/** Reads a stream and looks for what it needs. Never throws for what is in it. */
export function checkStream(
  repository: RepositoryFiles,
  name: ByteString,
  digest: FsVerityDigest,
  objects: ObjectStates,
  options: { readonly decompression: Decompression; readonly metadataOnly: boolean },
): CheckedStream {
  const base = { name, digest, lacks: [], refs: [] };
  if (objects.faultOf(digest) !== undefined) {
    return { ...base, trouble: "its object is damaged", isObjectDamaged: true };
  }
  const fd = openObjectOrFault(repository.dirfd, digest);
  if (typeof fd !== "number") return { ...base, trouble: fd.detail, isObjectDamaged: true };
  try {
    const stream = new SplitStream(fileSourceOf(fd, displayText(name)));
    if (stream.algorithm !== repository.algorithm) {
      const trouble = `its digests are ${stream.algorithm}, not ${repository.algorithm}`;
      return { ...base, trouble, isObjectDamaged: false };
    }
    const { decompression, metadataOnly } = options;
    stream.namedRefs(decompression);
    if (!metadataOnly) for (const _ of stream.chunks(decompression));
    const lacks = stream.objectRefs.filter((each) => objects.faultOf(each) !== undefined);
    for (const each of stream.streamRefs) objects.faultOf(each);
    return { ...base, trouble: undefined, isObjectDamaged: false, lacks, refs: stream.streamRefs };
  } catch (error) {
    if (!(error instanceof ComposefsError || error instanceof SyscallError)) throw error;
    return { ...base, trouble: error.message, isObjectDamaged: false };
  } finally {
    close(fd);
  }
}
