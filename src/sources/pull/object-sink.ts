/** Where the contents of a layer go: the staging of a repository, or whatever a test puts in its place. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Fd } from "../../floor/mod.ts";

/** Takes contents and gives their digests. */
export interface ObjectSink {
  /** Stores content that is in memory; nothing is kept of `data`. */
  put(data: Uint8Array): FsVerityDigest;
  /** Starts an object of `size` bytes that comes in pieces. */
  begin(size: number): OpenContent;
  /** Stores the content of an open file; by reflink where that is possible. */
  importFile(fd: Fd, size: number): FsVerityDigest;
  /** Reads an object of the repository; the content is verified. */
  readObject(digest: FsVerityDigest, size: number): Iterable<Uint8Array>;
}

/** An object that is being written. End it with `finish` or `abort`. */
export interface OpenContent {
  /** Nothing is kept of `data`. */
  write(data: Uint8Array): void;
  finish(): FsVerityDigest;
  abort(): void;
}
