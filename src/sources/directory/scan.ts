/**
 * Makes a tree of a directory, with the digest of every file and, if asked to, its object in a store.
 *
 * This thread walks the directories and builds the tree; entries are read in batches by all threads
 * (entry-reader.ts). What C `mkcomposefs` does to a directory is done here, in one pass.
 * Source of the rules: composefs libcomposefs/lcfs-writer.c (lcfs_build), tools/mkcomposefs.c.
 */

import { availableParallelism } from "node:os";

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { ComposefsError } from "../../core/errors.ts";
import type { Leaf } from "../../core/tree/node.ts";
import { close } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { DirectoryWalk } from "./directory-walk.ts";
import type { BatchPart } from "./directory-walk.ts";
import { ObjectFailure } from "../../store/objects/object-failure.ts";
import { RecordReader } from "./entry-record.ts";
import type { Inode, ReadEntry } from "./entry-record.ts";
import { linkNames } from "./hard-links.ts";
import type { LinkedLeaf } from "./hard-links.ts";
import { LargeFileReader } from "./large-file.ts";
import { ObjectStore } from "./object-store.ts";
import { limitsFor } from "./open-files.ts";
import type { Limits } from "./open-files.ts";
import type { OpenDirectory } from "./open-directory.ts";
import type { ScanCounts, ScanOptions, ScanResult } from "./options.ts";
import { PendingAnswers } from "./pending-answers.ts";
import { asReadError, cannotRead, joinPath } from "./read-error.ts";
import { xattrChoice } from "./read-xattrs.ts";
import { TaskPool } from "./task-pool.ts";
import type { EntriesReply, EntryFailure, ThreadConfig } from "./tasks.ts";

/**
 * Scans the directory `path`. Symlinks are never followed (but `path/` with a trailing slash follows
 * one); nothing of the file system is changed but the store.
 *
 * When it returns, every object is durable under its name. When it throws, everything that was begun
 * is removed; complete objects that already had their names stay.
 *
 * @throws ComposefsError `source-changed`, `source-unreadable`, `invalid-tree` with the path of the
 *   entry; `store-failed` with the path of the store; the signal's reason.
 */
export async function scanDirectory(
  path: ByteString,
  options: ScanOptions = {},
): Promise<ScanResult> {
  options.signal?.throwIfAborted();
  const scan = new Scan(path, options);
  try {
    return await scan.run();
  } finally {
    await scan.close();
  }
}

class Scan {
  readonly #path: ByteString;
  readonly #options: ScanOptions;
  readonly #limits: Limits;
  readonly #cancelled = new SharedArrayBuffer(4);
  readonly #store: ObjectStore | undefined;
  readonly #pool: TaskPool;
  readonly #large: LargeFileReader;
  readonly #walk: DirectoryWalk;
  readonly #linked = new Map<Leaf, LinkedLeaf>();
  readonly #pending = new PendingAnswers();
  #committed = false;
  #walked = false;
  #read = 0;
  #bytes = 0;
  readonly #counts = {
    leaves: 0,
    externalFiles: 0,
    externalBytes: 0,
    objects: 0,
    objectBytes: 0,
  };

  constructor(path: ByteString, options: ScanOptions) {
    this.#path = path;
    this.#options = options;
    const xattrs = xattrChoice(options);
    const threads = options.threads ?? availableParallelism();
    if (!Number.isInteger(threads) || threads < 1) {
      throw new RangeError(`"threads" expected 1 or more, got ${threads}`);
    }
    this.#limits = limitsFor(threads);
    const { useEpoch = false } = options;
    this.#walk = new DirectoryWalk({ useEpoch, xattrs, ...this.#limits });
    this.#store = openStore(options, this.#limits.groupObjects);
    const config: ThreadConfig = {
      algorithm: options.objects?.algorithm ?? options.algorithm ?? "sha256",
      xattrs,
      skipDevices: options.skipDevices ?? false,
      cancelled: this.#cancelled,
      store: this.#store?.config,
    };
    this.#pool = new TaskPool(config, threads);
    this.#large = new LargeFileReader(this.#pool, config, {
      useEpoch,
      lanes: this.#limits.batches,
      onBytes: (bytes) => {
        this.#bytes += bytes;
        this.#report();
      },
    });
    options.signal?.addEventListener("abort", this.#cancel);
  }

  async run(): Promise<ScanResult> {
    const root = this.#walk.start(this.#path);
    await this.#readAll();
    if (this.#options.hardlinks === true) linkNames(root, this.#linked);
    await this.#commit();
    const written = this.#store?.written;
    const counts: ScanCounts = {
      directories: this.#walk.directories,
      ...this.#counts,
      newObjects: written?.objects ?? 0,
      newObjectBytes: written?.bytes ?? 0,
    };
    return { root, counts };
  }

  /** Ends everything; after a failure, waits for the threads and removes what they have begun. */
  async close(): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#cancel);
    this.#cancel();
    await this.#pending.all();
    if (!this.#committed) await this.#store?.discard();
    await this.#pool.close();
    this.#walk.abandon();
    this.#store?.close();
  }

  async #readAll(): Promise<void> {
    const walk = this.#walk;
    for (;;) {
      this.#assertRunning();
      this.#store?.sealIfLarge(this.#pool);
      if (this.#store?.isFull === true) await this.#store.settle();
      if (this.#pending.count >= this.#limits.batches) {
        await this.#pending.next();
      } else if (walk.waiting === "batch" || (walk.waiting === "some" && !walk.hasFound)) {
        this.#submit(walk.takeBatch());
      } else if (walk.hasFound) {
        walk.enter();
      } else if (this.#pending.count > 0) {
        // A file system that hides types may still bring directories.
        this.#walked = true;
        await this.#pending.next();
      } else {
        return;
      }
    }
  }

  #submit(batch: readonly BatchPart[]): void {
    const parts = batch.map(({ directory, names, types }) => {
      return { dirfd: directory.fd, names: `${names.join("/")}/`, types };
    });
    const reply = this.#pool.submit({ kind: "entries", parts });
    this.#pending.add(reply.then((done) => this.#take(batch, done)));
  }

  /** Puts what a thread has read into the tree, and hands in again what it has not. */
  #take(batch: readonly BatchPart[], reply: EntriesReply): void {
    this.#addObjects(reply);
    this.#bytes += reply.bytes;
    this.#read += reply.done;
    const large = [...reply.large];
    try {
      if (!this.#pending.hasFailed) this.#insertAll(batch, reply, large);
    } finally {
      for (const fd of large) close(fd);
    }
    this.#report();
  }

  /** Takes from `large` the descriptors that it takes over. */
  #insertAll(batch: readonly BatchPart[], reply: EntriesReply, large: Fd[]): void {
    const { useEpoch = false } = this.#options;
    const records = new RecordReader(reply.records, { useEpoch });
    const rest: BatchPart[] = [];
    let left = reply.done;
    for (const { directory, names, types } of batch) {
      const count = Math.min(left, names.length);
      left -= count;
      for (let i = 0; i < count; i++) this.#insert(directory, names[i]!, records.next(), large);
      if (count === names.length) this.#walk.release(directory);
      else rest.push({ directory, names: names.slice(count), types: types.slice(count) });
    }
    if (reply.failure !== undefined) throw this.#describe(rest, reply.failure);
    if (rest.length > 0 && !this.#isCancelled) this.#submit(rest);
  }

  #insert(directory: OpenDirectory, name: ByteString, entry: ReadEntry, large: Fd[]): void {
    switch (entry.kind) {
      case "skipped":
        return;
      case "directory":
        // Counted when it is entered.
        this.#read--;
        return this.#walk.find(directory, name);
      case "large":
        directory.retain();
        return this.#pending.add(this.#readLarge(directory, name, large.shift()!));
      case "leaf":
        return this.#insertLeaf(directory, name, entry.leaf, entry.inode);
      default:
        entry satisfies never;
    }
  }

  async #readLarge(directory: OpenDirectory, name: ByteString, fd: Fd): Promise<void> {
    try {
      const { leaf, inode } = await this.#large.read(fd);
      this.#insertLeaf(directory, name, leaf, inode);
    } catch (error) {
      if (error instanceof ObjectFailure) throw this.#store!.failure(error);
      throw asReadError(joinPath(directory.path, name), error);
    } finally {
      this.#addObjects(this.#large.take());
    }
    this.#walk.release(directory);
  }

  #insertLeaf(directory: OpenDirectory, name: ByteString, leaf: Leaf, inode: Inode): void {
    directory.node.entries.set(name, leaf);
    this.#counts.leaves++;
    if (leaf.kind === "file" && leaf.content.kind === "external") {
      this.#counts.externalFiles++;
      this.#counts.externalBytes += leaf.content.size;
    }
    if (inode.nlink > 1 && this.#options.hardlinks === true) {
      this.#linked.set(leaf, { inode, directory: directory.node, name });
    }
  }

  #addObjects(made: Pick<EntriesReply, "staged" | "objects" | "objectBytes">): void {
    this.#store?.add(made.staged);
    this.#counts.objects += made.objects;
    this.#counts.objectBytes += made.objectBytes;
  }

  async #commit(): Promise<void> {
    let published = 0;
    await this.#store?.commit(this.#pool, (objects) => {
      published += objects;
      this.#options.onProgress?.({
        phase: "store",
        files: published,
        bytes: this.#bytes,
        totalFiles: this.#store?.written.objects ?? 0,
      });
    });
    this.#committed = true;
  }

  readonly #cancel = (): void => {
    Atomics.store(new Int32Array(this.#cancelled), 0, 1);
  };

  get #isCancelled(): boolean {
    return Atomics.load(new Int32Array(this.#cancelled), 0) !== 0;
  }

  #assertRunning(): void {
    // An abort makes threads stop in the middle, and they have no better word for it.
    this.#options.signal?.throwIfAborted();
    this.#pending.assertNoFailure();
  }

  #report(): void {
    this.#options.onProgress?.({
      phase: this.#walked ? "digest" : "scan",
      files: this.#walk.directories + this.#read,
      bytes: this.#bytes,
      ...(this.#walked ? { totalFiles: this.#walk.total } : {}),
    });
  }

  #describe(rest: readonly BatchPart[], failure: EntryFailure): ComposefsError {
    const part = rest[0];
    if (failure.entry === undefined || part === undefined) {
      return this.#store!.failure({ ...failure, message: failure.reason });
    }
    return cannotRead(joinPath(part.directory.path, part.names[0]!), failure);
  }
}

function openStore(options: ScanOptions, groupObjects: number): ObjectStore | undefined {
  const { digestStore, objects } = options;
  if (objects !== undefined) return ObjectStore.in(objects, groupObjects);
  return digestStore === undefined ? undefined : ObjectStore.open(digestStore, groupObjects);
}
