/**
 * The fs-verity digest of a file: the kernel's where it has one, else computed.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { fsVerityDigestFrom } from "../../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { blockHash } from "../../floor/block-hash.ts";
import { AT_FDCWD, O_RDONLY, close, openat, read } from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import { measureVerity } from "../../floor/verity.ts";
import { cannotOpen } from "../arguments/load-tree.ts";
import { reasonOf } from "../output/reason.ts";

/** Bytes that are read and hashed at once. */
const CHUNK = 1 << 20;

/** How to measure. */
export interface MeasureOptions {
  readonly algorithm: FsVerityAlgorithm;
  /** A power of two from 1024 to 65536. */
  readonly blockSize: number;
}

/** A digest and where it comes from. */
export interface MeasuredFile {
  readonly digest: FsVerityDigest;
  readonly source: "kernel" | "computed";
}

/** Measures a file. Throws `source-unreadable`. */
export function measureFile(path: ByteString, options: MeasureOptions): MeasuredFile {
  let fd: Fd;
  try {
    fd = openat(AT_FDCWD, path, O_RDONLY);
  } catch (error) {
    throw cannotOpen("file", path, error);
  }
  try {
    // The kernel does not tell its block size: only of the usual one is it sure enough.
    const kernel = options.blockSize === 4096 ? measureVerity(fd) : undefined;
    if (kernel?.algorithm === options.algorithm) {
      return { digest: fsVerityDigestFrom(kernel.digest), source: "kernel" };
    }
    return { digest: computeDigest(fd, options), source: "computed" };
  } catch (error) {
    const message = `Cannot measure "${displayText(path)}": ${reasonOf(error)}`;
    throw new ComposefsError("source-unreadable", message, { cause: error });
  } finally {
    close(fd);
  }
}

function computeDigest(fd: Fd, options: MeasureOptions): FsVerityDigest {
  const { algorithm, blockSize } = options;
  const hasher = new FsVerityHasher(blockHash(algorithm), { blockSize });
  const buffer = new Uint8Array(CHUNK);
  for (let count = read(fd, buffer); count > 0; count = read(fd, buffer)) {
    hasher.update(buffer.subarray(0, count));
  }
  return hasher.digest();
}
