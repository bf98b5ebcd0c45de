/** What can be asked of a scan, and what it answers. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityAlgorithm } from "../../core/fsverity/digest.ts";
import type { Directory } from "../../core/tree/node.ts";
import type { ObjectsConfig } from "../../store/objects/staged-object.ts";

/** Options of {@link scanDirectory}. Everything is off unless told. */
export interface ScanOptions {
  /** What the digests of files are made with; sha256 unless told, or that of `objects`. */
  readonly algorithm?: FsVerityAlgorithm | undefined;
  /** All times become 1970-01-01. */
  readonly useEpoch?: boolean | undefined;
  /** Leaves out character and block devices, whiteouts among them. */
  readonly skipDevices?: boolean | undefined;
  /** Leaves out all xattrs. */
  readonly skipXattrs?: boolean | undefined;
  /** Leaves out all xattrs but `user.*`. */
  readonly userXattrs?: boolean | undefined;
  /**
   * Keeps hard links: the first name in depth-first byte order is the leaf, the others link to it.
   * Unless told, every name is a file of its own, as C `mkcomposefs` has it.
   */
  readonly hardlinks?: boolean | undefined;
  /** Threads that read and hash, this one among them: 1 or more; as many as the process may use unless told. */
  readonly threads?: number | undefined;
  /** Where the content of external files goes: made with its parents if it is missing. */
  readonly digestStore?: ByteString | undefined;
  /**
   * Where it goes instead: the objects of a repository, whose `algorithm` is used. Their names are durable
   * when the scan returns; a transaction may link to them then.
   */
  readonly objects?: ObjectsConfig | undefined;
  /** Ends the scan with the signal's reason; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
  /** Told after every few hundred files. What it throws ends the scan. */
  readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
}

/** How far a scan is. */
export interface ScanProgress {
  /** `scan` while the end of the tree is not in sight, `digest` after that, `store` while objects get their names. */
  readonly phase: "scan" | "digest" | "store";
  /** Entries done, directories among them; objects in phase `store`. */
  readonly files: number;
  /** Bytes of content that were read. */
  readonly bytes: number;
  /** How many entries there will be; unknown in phase `scan`. */
  readonly totalFiles?: number;
}

/** What a scan found and did. */
export interface ScanCounts {
  readonly directories: number;
  /** Names of everything but directories. */
  readonly leaves: number;
  /** Regular files with content outside of the image, and their bytes; every name counts. */
  readonly externalFiles: number;
  readonly externalBytes: number;
  /** The different objects among them, and their bytes: only with a store, else 0. */
  readonly objects: number;
  readonly objectBytes: number;
  /** The objects that were not in the store before, and their bytes. */
  readonly newObjects: number;
  readonly newObjectBytes: number;
}

/** A tree, and every object of it durable in the store, if there was one. */
export interface ScanResult {
  readonly root: Directory;
  readonly counts: ScanCounts;
}
