/**
 * Content on its way into the store, in one thread of a run whose threads share what they have met:
 * complete, and checked, before it has a name.
 *
 * An object is made as a file without a name (`O_TMPFILE`), gets its content by reflink or by a copy of
 * the very bytes that were hashed, and is handed over to be made durable and named.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { FileStat } from "../../floor/mod.ts";
import type { Fd, TemporaryFile } from "../../floor/mod.ts";
import { DigestClaims } from "./claims.ts";
import { glanceAtObject, hasObject } from "./find-object.ts";
import { ObjectFiles } from "./object-files.ts";
import { onStore } from "./object-failure.ts";
import type { StagedObject, Verity } from "./staged-object.ts";

/** The store of a run, as its threads see it. */
export interface ClaimedStore {
  /** The directory, open. */
  readonly dirfd: Fd;
  readonly verity: Verity;
  /** What to do with what lies under an object's name and cannot be it. */
  readonly damaged: "refuse" | "replace";
  /** See {@link DigestClaims}. */
  readonly claims: SharedArrayBuffer;
  /** The store was empty when the run began, so that most objects will be new. */
  readonly fresh: boolean;
}

/** Makes objects, and counts them. */
export class ObjectWriter {
  readonly #store: ClaimedStore;
  readonly #claims: DigestClaims;
  readonly #files: ObjectFiles;
  readonly #stat = new FileStat();
  #staged: StagedObject[] = [];
  #objects = 0;
  #objectBytes = 0;

  constructor(store: ClaimedStore) {
    this.#store = store;
    this.#claims = new DigestClaims(store.claims);
    this.#files = new ObjectFiles(store.dirfd);
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
    const { dirfd, verity, damaged } = this.#store;
    if (damaged === "refuse") {
      return onStore(() => !hasObject(dirfd, digest, size, this.#stat));
    }
    return onStore(() => glanceAtObject(dirfd, digest, size, verity, this.#stat) !== "present");
  }

  /** Stages content that is in memory; `source` is the file it was read from, to share extents with. */
  put(digest: FsVerityDigest, data: Uint8Array, source: Fd): void {
    const { file } = onStore(() => this.#files.createFrom(data, source));
    this.stage(file, digest, data.length);
  }

  /** Starts an object whose content comes in pieces. End it with `stage` or `drop`. */
  begin(): TemporaryFile {
    return onStore(() => this.#files.create());
  }

  /** Lets `file` share all extents of `source`; false if that is not possible. */
  clone(source: Fd, file: TemporaryFile): boolean {
    return onStore(() => this.#files.clone(source, file));
  }

  /** Hands over a complete object. */
  stage(file: TemporaryFile, digest: FsVerityDigest, size: number): void {
    this.#staged.push({ fd: file.fd, name: file.name, digest, size });
  }

  /** Removes an object that is not wanted. */
  drop(file: TemporaryFile): void {
    this.#files.drop(file);
  }

  /** What was staged and counted since the last call. The caller owns the descriptors. */
  take(): { staged: StagedObject[]; objects: number; objectBytes: number } {
    const taken = { staged: this.#staged, objects: this.#objects, objectBytes: this.#objectBytes };
    this.#staged = [];
    this.#objects = 0;
    this.#objectBytes = 0;
    return taken;
  }
}
