/** What surveys, garbage collection and fsck need of a repository: a `Repository` is one. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityAlgorithm } from "../../core/fsverity/digest.ts";
import type { Fd } from "../../floor/mod.ts";

/** An open repository. */
export interface RepositoryFiles {
  /** As it was given, for messages. */
  readonly path: ByteString;
  /** Its directory; the lock is on this descriptor. */
  readonly dirfd: Fd;
  readonly algorithm: FsVerityAlgorithm;
  readonly verity: "required" | "missing-allowed";
}

/** The two kinds of names that a repository has. */
export type Category = "streams" | "images";
