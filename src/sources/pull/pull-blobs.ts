/** The blobs of an artifact: stored as they are, one object each. */

import type { Descriptor } from "../../core/oci/descriptor.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Zstd } from "../../floor/mod.ts";
import { putBlobStream } from "../../store/mod.ts";
import type { Transaction } from "../../store/mod.ts";
import type { ImageSource } from "../image-source.ts";

/** What fetching one blob needs. */
export interface BlobWork {
  readonly source: ImageSource;
  readonly transaction: Transaction;
  readonly zstd: Zstd;
  readonly signal: AbortSignal | undefined;
}

/** Fetches a blob into a transaction; returns the digest of its stream. */
export async function pullBlob(
  { source, transaction, zstd, signal }: BlobWork,
  descriptor: Descriptor,
  onFetched: (bytes: number) => void,
): Promise<FsVerityDigest> {
  const object = transaction.objects.begin(descriptor.size);
  try {
    for await (const bytes of source.openBlob(descriptor, { signal })) {
      object.write(bytes);
      onFetched(object.size);
    }
  } catch (error) {
    object.abort();
    throw error;
  }
  const { digest, size } = object.finish();
  return putBlobStream(transaction, descriptor.digest, digest, size, zstd);
}
