/**
 * What threads say to each other about objects. Plain data: descriptors are numbers that all threads of
 * the process share.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Fd } from "../../floor/mod.ts";

/**
 * Whether objects must have fs-verity: `required` makes it an error if the kernel cannot vouch for one;
 * `missing-allowed` uses it where the file system has it.
 */
export type Verity = "required" | "missing-allowed";

/** A directory of objects, as any thread needs to know it. */
export interface ObjectsConfig {
  /** The directory, open as long as any thread uses it. */
  readonly dirfd: Fd;
  /** Its path, for people. */
  readonly path: ByteString;
  readonly algorithm: FsVerityAlgorithm;
  readonly verity: Verity;
}

/** An object that is complete and has no name yet. Whoever holds it owns the descriptor. */
export interface StagedObject {
  readonly fd: Fd;
  /** Its temporary name in the directory of objects, where it could not be made without one. */
  readonly name: string | undefined;
  readonly digest: FsVerityDigest;
  readonly size: number;
}
