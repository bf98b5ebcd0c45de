/**
 * Content on its way into the store, in one thread: complete, and checked, before it has a name.
 *
 * An object is made as a file without a name (`O_TMPFILE`), gets its content by reflink or by a copy of
 * the very bytes that were hashed, and is handed to the {@link ObjectStore}, which makes it durable and
 * has it named.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { objectPath } from "../../core/fsverity/digest.ts";
import { FILE_TYPE, S_IFMT } from "../../core/tree/node.ts";
import {
  FileStat,
  cloneFile,
  createTemporaryFile,
  discardTemporaryFile,
  fchmod,
  fstat,
  ftruncate,
  lstatatIfExists,
  preadFully,
  pwriteFully,
} from "../../floor/mod.ts";
import type { Fd, TemporaryFile } from "../../floor/mod.ts";
import { DigestClaims } from "./claims.ts";
import { ReadFailure, onStore } from "./entry-failure.ts";
import type { StagedObject, StoreConfig } from "./tasks.ts";

/** The mode of every object, whatever the source's and the umask. */
const OBJECT_MODE = 0o644;

/** Bytes of a reflinked object that are compared at a time. */
const COMPARE_SIZE = 1 << 18;

/** After so many files whose extents cannot be shared no other is tried. */
const CLONE_TRIES = 32;

/** Makes objects, and counts them. */
export class ObjectWriter {
  readonly #store: StoreConfig;
  readonly #claims: DigestClaims;
  readonly #stat = new FileStat();
  readonly #compareBuffer = Buffer.allocUnsafeSlow(COMPARE_SIZE);
  #staged: StagedObject[] = [];
  /** In a row. */
  #failedClones = 0;
  #objects = 0;
  #objectBytes = 0;
  /** Whether a new file here has its mode at once; not known before the first. */
  #modeIsRight: boolean | undefined;

  constructor(store: StoreConfig) {
    this.#store = store;
    this.#claims = new DigestClaims(store.claims);
  }

  /** Whether most objects are likely to be new, so that it pays to write before the digest is known. */
  get expectsNew(): boolean {
    return this.#store.fresh;
  }

  /**
   * Whether the content with this digest must be written: neither has this run met it before nor has
   * the store an object of its name. Counts the object; asking twice gives "no" the second time.
   */
  needs(digest: FsVerityDigest, size: number): boolean {
    if (!this.#claims.claim(digest)) return false;
    this.#objects++;
    this.#objectBytes += size;
    // An empty store has nothing to look for; what another process puts there meanwhile is found
    // when the object gets its name.
    if (this.#store.fresh) return true;
    return onStore(() => !hasObject(this.#store.dirfd, digest, size, this.#stat));
  }

  /** Stages content that is in memory; `source` is the file it was read from, to share extents with. */
  put(digest: FsVerityDigest, data: Uint8Array, source: Fd): void {
    const file = this.begin();
    try {
      onStore(() => {
        if (this.#clone(source, file.fd)) {
          if (this.#holds(file.fd, data)) return;
          ftruncate(file.fd, 0);
        }
        pwriteFully(file.fd, data, 0);
      });
    } catch (error) {
      this.drop(file);
      throw error;
    }
    this.stage(file, digest, data.length);
  }

  /** Starts an object whose content comes in pieces. End it with `stage` or `drop`. */
  begin(): TemporaryFile {
    return onStore(() => {
      const file = createTemporaryFile(this.#store.dirfd, OBJECT_MODE);
      try {
        this.#modeIsRight ??= (fstat(file.fd, this.#stat).mode & 0o7777) === OBJECT_MODE;
        if (!this.#modeIsRight) fchmod(file.fd, OBJECT_MODE);
      } catch (error) {
        discardTemporaryFile(file, this.#store.dirfd);
        throw error;
      }
      return file;
    });
  }

  /** Lets `file` share all extents of `source`; false if that is not possible. */
  clone(source: Fd, file: TemporaryFile): boolean {
    return onStore(() => this.#clone(source, file.fd));
  }

  /** Hands over a complete object. */
  stage(file: TemporaryFile, digest: FsVerityDigest, size: number): void {
    this.#staged.push({ fd: file.fd, name: file.name, digest, size });
  }

  /** Removes an object that is not wanted. */
  drop(file: TemporaryFile): void {
    discardTemporaryFile(file, this.#store.dirfd);
  }

  /** What was staged and counted since the last call. The caller owns the descriptors. */
  take(): { staged: StagedObject[]; objects: number; objectBytes: number } {
    const taken = { staged: this.#staged, objects: this.#objects, objectBytes: this.#objectBytes };
    this.#staged = [];
    this.#objects = 0;
    this.#objectBytes = 0;
    return taken;
  }

  #clone(source: Fd, target: Fd): boolean {
    if (this.#failedClones === CLONE_TRIES) return false;
    const cloned = cloneFile(source, target);
    this.#failedClones = cloned ? 0 : this.#failedClones + 1;
    return cloned;
  }

  /** A source may change between reading and reflinking; what was hashed is what counts. */
  #holds(fd: Fd, data: Uint8Array): boolean {
    if (fstat(fd, this.#stat).size !== data.length) return false;
    for (let at = 0; at < data.length; at += COMPARE_SIZE) {
      const part = this.#compareBuffer.subarray(0, Math.min(COMPARE_SIZE, data.length - at));
      if (preadFully(fd, part, at) !== part.length) return false;
      if (part.compare(data, at, at + part.length) !== 0) return false;
    }
    return true;
  }
}

/**
 * Whether the store has an object of this name. Its content is trusted, since no partial object ever
 * gets a name; what cannot be an object of this digest is an error.
 */
export function hasObject(
  dirfd: Fd,
  digest: FsVerityDigest,
  size: number,
  into?: FileStat,
): boolean {
  const path = objectPath(digest);
  const stat = lstatatIfExists(dirfd, path, into);
  if (stat === undefined) return false;
  if ((stat.mode & S_IFMT) !== FILE_TYPE.file) {
    throw new ReadFailure("store-failed", `object ${path} is not a regular file`);
  }
  if (stat.size !== size) {
    throw new ReadFailure(
      "store-failed",
      `object ${path} is corrupt: it has ${stat.size} bytes instead of ${size}`,
      "remove it, and the next run will write it anew",
    );
  }
  return true;
}
