/**
 * The object store of a run: a directory whose files are named `XX/<rest>` by their fs-verity digest.
 *
 * Objects come complete but without a name. They are collected into groups; a group is made durable
 * by one syncfs(2), and only then its objects get their names, so that whatever happens, a name in the
 * store stands for the whole content. One more syncfs makes the names durable, and then an image may
 * refer to them. A group is as large as the limit of open files allows.
 */

import { sliceByteString } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { ComposefsError } from "../../core/errors.ts";
import { FILE_TYPE, S_IFMT } from "../../core/tree/node.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  close,
  discardTemporaryFile,
  lstatat,
  lstatatIfExists,
  mkdiratIfMissing,
  openat,
  readDirectory,
  rmdiratIfEmpty,
  syncfsInBackground,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { DigestClaims } from "../../store/objects/claims.ts";
import { ObjectFailure, asStoreError, storeError } from "../../store/objects/object-failure.ts";
import type { ClaimedStore } from "../../store/objects/object-writer.ts";
import type { ObjectsConfig, StagedObject, Verity } from "../../store/objects/staged-object.ts";
import type { TaskPool } from "./task-pool.ts";

const DIRECTORY_MODE = 0o755;

/** A sync for each 128 MiB keeps the disk busy while the rest is read, and leaves little for the end. */
const GROUP_BYTES = 1 << 27;

/** Objects that a thread names at a time. */
const PUBLISH_BATCH = 256;

/** A store that is being filled. End it with `commit` or `discard`, then `close`. */
export class ObjectStore {
  readonly #path: ByteString;
  readonly #dirfd: Fd;
  readonly #verity: Verity;
  readonly #damaged: ClaimedStore["damaged"];
  readonly #fresh: boolean;
  /** Directories made for the store, the outermost first. */
  readonly #made: readonly ByteString[];
  readonly #claims = new DigestClaims();
  readonly #groupObjects: number;
  readonly #prefixes = new Set<ByteString>();
  #group: StagedObject[] = [];
  #groupBytes = 0;
  /** The group that is being synced and named, or nothing; ends with the error that it met. */
  #sealing: Promise<unknown> = Promise.resolve();
  #isSealing = false;
  #objects = 0;
  #bytes = 0;

  /**
   * Opens a store, making it and its parents if it is missing. A symlink in its place is refused.
   * `groupObjects` objects at most are made durable together. Throws `store-failed`.
   */
  static open(path: ByteString, groupObjects: number): ObjectStore {
    const trimmed = path.replace(/(?<=[^/])\/+$/, "") as ByteString;
    const made: ByteString[] = [];
    try {
      makeDirectories(trimmed, made);
      const stat = lstatat(AT_FDCWD, trimmed);
      if ((stat.mode & S_IFMT) === FILE_TYPE.symlink) {
        throw new ObjectFailure("it is a symlink", {
          hint: "name the directory that it points to",
        });
      }
      const dirfd = openat(AT_FDCWD, trimmed, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        const verity = "missing-allowed";
        return new ObjectStore(
          { path: trimmed, dirfd, verity, damaged: "refuse" },
          made,
          groupObjects,
        );
      } catch (error) {
        close(dirfd);
        throw error;
      }
    } catch (error) {
      removeDirectories(made);
      throw asStoreError(trimmed, error);
    }
  }

  /** A store in the directory of objects of a repository. Throws `store-failed`. */
  static in({ path, dirfd, verity }: ObjectsConfig, groupObjects: number): ObjectStore {
    try {
      // A description of its own: see SyncHandle.
      const own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY);
      return new ObjectStore({ path, dirfd: own, verity, damaged: "replace" }, [], groupObjects);
    } catch (error) {
      throw asStoreError(path, error);
    }
  }

  private constructor(
    store: Pick<ObjectsConfig, "path" | "dirfd" | "verity"> & Pick<ClaimedStore, "damaged">,
    made: readonly ByteString[],
    groupObjects: number,
  ) {
    this.#path = store.path;
    this.#dirfd = store.dirfd;
    this.#verity = store.verity;
    this.#damaged = store.damaged;
    this.#made = made;
    this.#groupObjects = groupObjects;
    const names = readDirectory(store.dirfd).map(({ name }) => name);
    this.#fresh = !names.some((name) => /^[0-9a-f]{2}$/.test(name));
  }

  /** What the threads need to know. */
  get config(): ClaimedStore {
    return {
      dirfd: this.#dirfd,
      verity: this.#verity,
      damaged: this.#damaged,
      claims: this.#claims.memory,
      fresh: this.#fresh,
    };
  }

  /** Objects that were not in the store before, and their bytes. */
  get written(): { readonly objects: number; readonly bytes: number } {
    return { objects: this.#objects, bytes: this.#bytes };
  }

  /** Takes over complete objects. */
  add(staged: readonly StagedObject[]): void {
    for (const object of staged) {
      this.#group.push(object);
      this.#groupBytes += object.size;
      this.#bytes += object.size;
    }
    this.#objects += staged.length;
  }

  /** Whether no object may be added before `settle` has made room. */
  get isFull(): boolean {
    return this.#group.length >= this.#groupObjects;
  }

  /**
   * Starts to make the collected objects durable and to name them, if there are enough of them and
   * the group before is through.
   */
  sealIfLarge(pool: TaskPool): void {
    if (this.#isSealing || (this.#groupBytes < GROUP_BYTES && !this.isFull)) return;
    this.#seal(pool, () => undefined);
  }

  /** Waits until the group that is being sealed is through. Throws what it met. */
  async settle(): Promise<void> {
    await this.#sealing;
  }

  /** Waits until every object is durable under its name. */
  async commit(pool: TaskPool, onPublished: (objects: number) => void): Promise<void> {
    await this.#sealing;
    this.#seal(pool, onPublished);
    await this.#sealing;
    try {
      await syncfsInBackground(this.#dirfd);
    } catch (error) {
      throw asStoreError(this.#path, error);
    }
  }

  /** Waits for what is under way, and removes what has no name yet, and what was made and is empty. */
  async discard(): Promise<void> {
    await this.#sealing.catch(() => undefined);
    for (const object of this.#group) discardTemporaryFile(object, this.#dirfd);
    this.#group = [];
    if (this.#made.length === 0) return;
    for (const prefix of this.#prefixes) rmdiratIfEmpty(this.#dirfd, prefix);
    removeDirectories(this.#made);
  }

  close(): void {
    close(this.#dirfd);
  }

  /** What a thread reported, as an error. */
  failure(failure: Parameters<typeof storeError>[1]): ComposefsError {
    return storeError(this.#path, failure);
  }

  #seal(pool: TaskPool, onPublished: (objects: number) => void): void {
    const group = this.#group;
    this.#group = [];
    this.#groupBytes = 0;
    this.#isSealing = true;
    this.#sealing = this.#publish(group, pool, onPublished).finally(() => {
      this.#isSealing = false;
    });
    // The error is for whoever awaits it next; until then it is not "unhandled".
    this.#sealing.catch(() => undefined);
  }

  async #publish(
    group: readonly StagedObject[],
    pool: TaskPool,
    onPublished: (objects: number) => void,
  ): Promise<void> {
    if (group.length === 0) return;
    try {
      await syncfsInBackground(this.#dirfd);
      for (const { digest } of group) this.#makePrefix(digest.slice(0, 2) as ByteString);
    } catch (error) {
      for (const object of group) discardTemporaryFile(object, this.#dirfd);
      throw asStoreError(this.#path, error);
    }
    const batches: Promise<void>[] = [];
    for (let at = 0; at < group.length; at += PUBLISH_BATCH) {
      batches.push(this.#publishBatch(group.slice(at, at + PUBLISH_BATCH), pool, onPublished));
    }
    const failure = (await Promise.allSettled(batches)).find(({ status }) => status === "rejected");
    if (failure !== undefined) throw (failure as PromiseRejectedResult).reason;
  }

  async #publishBatch(
    objects: readonly StagedObject[],
    pool: TaskPool,
    onPublished: (objects: number) => void,
  ): Promise<void> {
    const reply = await pool.submit({ kind: "publish", objects });
    const { failure } = reply;
    if (failure !== undefined) throw this.failure({ ...failure, message: failure.reason });
    onPublished(reply.done);
  }

  /** Makes the directory `XX`, or checks that it is one. */
  #makePrefix(prefix: ByteString): void {
    if (this.#prefixes.has(prefix)) return;
    const isThere = !mkdiratIfMissing(this.#dirfd, prefix, DIRECTORY_MODE);
    if (isThere && (lstatat(this.#dirfd, prefix).mode & S_IFMT) !== FILE_TYPE.directory) {
      throw new ObjectFailure(`"${prefix}" in it is not a directory`);
    }
    this.#prefixes.add(prefix);
  }
}

function makeDirectories(path: ByteString, made: ByteString[]): void {
  if (lstatatIfExists(AT_FDCWD, path) !== undefined) return;
  const slash = path.replace(/\/+$/, "").lastIndexOf("/");
  if (slash > 0) makeDirectories(sliceByteString(path, 0, slash), made);
  if (mkdiratIfMissing(AT_FDCWD, path, DIRECTORY_MODE)) made.push(path);
}

function removeDirectories(made: readonly ByteString[]): void {
  for (const path of [...made].reverse()) rmdiratIfEmpty(AT_FDCWD, path);
}
