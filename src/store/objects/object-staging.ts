/**
 * Objects on their way into a repository, in one thread: hashed while they are written, complete before
 * they have a name, durable before they are named.
 *
 * An object whose content is there already is not written. A new one is a file without a name until
 * `publish`, so that whatever kills us leaves nothing behind. What lies under an object's name and cannot
 * be it (another size; with verity `required`, no or another fs-verity digest) is replaced.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { FileStat } from "../../floor/mod.ts";
import type { Fd, TemporaryFile } from "../../floor/mod.ts";
import { glanceAtObject } from "./find-object.ts";
import { HasherPool } from "./hasher-pool.ts";
import { importObject } from "./import-object.ts";
import type { ImportOptions, ImportOwner, Imported } from "./import-object.ts";
import { asStoreError } from "./object-failure.ts";
import { ObjectFiles } from "./object-files.ts";
import { ObjectPublisher } from "./object-publisher.ts";
import { OpenObject } from "./open-object.ts";
import type { FinishedObject, OpenObjectOwner } from "./open-object.ts";
import { readOpenFilesLimit } from "./open-files-limit.ts";
import type { ObjectsConfig, StagedObject } from "./staged-object.ts";
import { SyncHandle } from "./sync-handle.ts";

/** Larger groups gain nothing. */
const STAGED_MAX = 4096;

/** Objects that are named at a time in the background: a few milliseconds. */
const NAMED_AT_ONCE = 64;

/** What part of the open files one staging may use: several threads have one each. */
const SHARE_OF_OPEN_FILES = 16;

/** Objects, and their bytes. */
export interface ObjectCount {
  objects: number;
  bytes: number;
}

/** How the objects came into the repository. Each `put`, `finish` or `importFile` counts once. */
export interface StagingStats {
  readonly copied: ObjectCount;
  readonly reflinked: ObjectCount;
  readonly hardlinked: ObjectCount;
  readonly alreadyPresent: ObjectCount;
}

/**
 * Stages objects. Methods throw ComposefsError `store-failed`, with verity `required` also
 * `verity-missing`; after an error of `publish` the objects that were staged are gone.
 */
export class ObjectStaging {
  readonly config: ObjectsConfig;
  readonly stats: StagingStats = {
    copied: { objects: 0, bytes: 0 },
    reflinked: { objects: 0, bytes: 0 },
    hardlinked: { objects: 0, bytes: 0 },
    alreadyPresent: { objects: 0, bytes: 0 },
  };
  readonly #sync: SyncHandle;
  readonly #ownsSync: boolean;
  readonly #files: ObjectFiles;
  readonly #publisher: ObjectPublisher;
  readonly #hashers: HasherPool;
  readonly #owner: OpenObjectOwner & ImportOwner = {
    guard: (work) => this.#onStore(work),
    finish: (digest, size, makeFile) => this.#finish(digest, size, makeFile),
    needs: (digest, size) => this.#needs(digest, size),
    stage: (file, digest, size, how) => this.#stage(file, digest, size, how),
    release: (hasher) => {
      this.#begun--;
      this.#hashers.release(hasher);
    },
  };
  readonly #stat = new FileStat();
  readonly #maxStaged: number;
  #staged: StagedObject[] = [];
  /** Objects that are begun and neither finished nor aborted. */
  #begun = 0;
  #unsyncedNames = 0;
  /** Settles when what is on its way in the background has its names, or is gone. */
  #inBackground: Promise<void> = Promise.resolve();
  /** Digests that were staged here and have no name yet, wherever they are. */
  readonly #unnamed = new Set<FsVerityDigest>();

  /**
   * `maxStaged` objects at most are open; before there are more, those are published. `sync` is the handle
   * of the owner, who closes it: for a staging that adopts what others write from now on, it is open.
   */
  constructor(
    config: ObjectsConfig,
    options: { readonly maxStaged?: number; readonly sync?: SyncHandle } = {},
  ) {
    this.config = config;
    this.#sync = options.sync ?? new SyncHandle(config.dirfd);
    this.#ownsSync = options.sync === undefined;
    this.#files = new ObjectFiles(config.dirfd);
    this.#publisher = new ObjectPublisher(config);
    this.#hashers = new HasherPool(config.algorithm);
    const share = Math.floor(readOpenFilesLimit() / SHARE_OF_OPEN_FILES);
    this.#maxStaged = options.maxStaged ?? Math.max(1, Math.min(STAGED_MAX, share));
  }

  /** Stages content that is in memory. */
  put(data: Uint8Array): { readonly digest: FsVerityDigest; readonly stored: boolean } {
    const digest = this.#digestOf(data);
    return this.#onStore(() => {
      const stored = this.#needs(digest, data.length);
      if (stored) {
        const { file } = this.#files.createFrom(data, undefined);
        this.#stage(file, digest, data.length, "copied");
      }
      return { digest, stored };
    });
  }

  /** Starts an object whose content comes in pieces; `sizeHint` is how many bytes it will likely have. */
  begin(sizeHint?: number): OpenObject {
    this.#begun++;
    return new OpenObject(this.#files, this.#hashers.take(), sizeHint, this.#owner);
  }

  /**
   * Stages the content of an open regular file: by reflink; else, if the caller allows it, by a hard
   * link; else by a copy. The position of `fd` is not used; it stays open. Throws also `source-changed`
   * if there are not exactly `size` bytes.
   */
  importFile(fd: Fd, size: number, options: ImportOptions = {}): Imported {
    return this.#onStore(() => {
      const hasher = this.#hashers.take();
      try {
        return importObject(this.#owner, this.#files, hasher, { fd, size, ...options });
      } finally {
        this.#hashers.release(hasher);
      }
    });
  }

  /** Objects that have no name yet. */
  get stagedObjects(): number {
    return this.#staged.length;
  }

  /** Objects that got their names here since the last `sync`. */
  get unsyncedNames(): number {
    return this.#unsyncedNames;
  }

  /** Makes what is staged durable, then names it. Blocks this thread. The names need one more sync. */
  publish(): void {
    const objects = this.#staged.splice(0);
    if (objects.length === 0) return;
    try {
      this.#onStore(() => this.#sync.sync());
    } catch (error) {
      this.#drop(objects);
      throw error;
    }
    this.#name(objects);
  }

  /**
   * As {@link publish}, while this thread goes on. What is staged meanwhile is for the next time. Calls wait
   * for each other, so that nothing is on its way any more when the last one is done.
   */
  publishInBackground(): Promise<void> {
    const objects = this.#staged.splice(0);
    const published = this.#inBackground.then(() => this.#publishInBackground(objects));
    this.#inBackground = published.catch(() => {});
    return published;
  }

  async #publishInBackground(objects: StagedObject[]): Promise<void> {
    if (objects.length === 0) return;
    try {
      await this.#sync.syncInBackground();
    } catch (error) {
      // The kernel tells it once: another sync would seem to succeed.
      this.#drop(objects);
      throw asStoreError(this.config.path, error);
    }
    for (let next = objects.splice(0, NAMED_AT_ONCE); ; next = objects.splice(0, NAMED_AT_ONCE)) {
      try {
        this.#name(next);
      } catch (error) {
        this.#drop(objects);
        throw error;
      }
      if (objects.length === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Makes names durable, of objects and everything else, while this thread goes on. */
  async sync(): Promise<void> {
    const names = this.#unsyncedNames;
    try {
      await this.#sync.syncInBackground();
    } catch (error) {
      throw asStoreError(this.config.path, error);
    }
    this.#unsyncedNames -= names;
    this.#rest();
  }

  /**
   * Hands the staged objects over, to the `adopt` of another thread, which was made before they were
   * written. The receiver owns them.
   */
  take(): readonly StagedObject[] {
    const staged = this.#staged.splice(0);
    this.#rest();
    return staged;
  }

  /** Takes over what another thread has staged for the same directory. */
  adopt(staged: readonly StagedObject[]): void {
    for (const object of staged) {
      if (this.#staged.length >= this.#maxStaged) this.publish();
      this.#staged.push(object);
      this.#unnamed.add(object.digest);
    }
  }

  /** Removes what is staged. Objects that have their names stay. */
  discard(): void {
    this.#drop(this.#staged.splice(0));
    this.#rest();
  }

  /** Whether an object must be written; counts it as present if not. */
  #needs(digest: FsVerityDigest, size: number): boolean {
    const { dirfd, verity } = this.config;
    const isThere =
      this.#unnamed.has(digest) ||
      glanceAtObject(dirfd, digest, size, verity, this.#stat) === "present";
    if (isThere) count(this.stats.alreadyPresent, size);
    return !isThere;
  }

  /** Takes over a complete object. */
  #stage(
    file: TemporaryFile,
    digest: FsVerityDigest,
    size: number,
    how: Exclude<keyof StagingStats, "alreadyPresent">,
  ): void {
    count(this.stats[how], size);
    this.#staged.push({ fd: file.fd, name: file.name, digest, size });
    this.#unnamed.add(digest);
    if (this.#staged.length >= this.#maxStaged) this.publish();
  }

  #digestOf(data: Uint8Array): FsVerityDigest {
    const hasher = this.#hashers.take();
    hasher.update(data);
    const digest = hasher.digest();
    this.#hashers.release(hasher);
    return digest;
  }

  #finish(digest: FsVerityDigest, size: number, makeFile: () => TemporaryFile): FinishedObject {
    const stored = this.#needs(digest, size);
    if (stored) this.#stage(makeFile(), digest, size, "copied");
    return { digest, size, stored };
  }

  #name(objects: readonly StagedObject[]): void {
    for (const { digest } of objects) this.#unnamed.delete(digest);
    const { done, failure } = this.#publisher.publish(objects);
    this.#unsyncedNames += done;
    this.#rest();
    if (failure !== undefined) throw asStoreError(this.config.path, failure);
  }

  #drop(objects: readonly StagedObject[]): void {
    for (const object of objects) {
      this.#unnamed.delete(object.digest);
      this.#files.drop(object);
    }
  }

  /** Keeps nothing open while there is nothing to answer for. */
  #rest(): void {
    if (this.#ownsSync && this.#begun + this.#staged.length === 0) this.#sync.close();
  }

  #onStore<T>(work: () => T): T {
    try {
      this.#sync.open();
      return work();
    } catch (error) {
      throw asStoreError(this.config.path, error);
    }
  }
}

function count(counter: ObjectCount, size: number): void {
  counter.objects++;
  counter.bytes += size;
}
