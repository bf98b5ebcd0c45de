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
import { AT_FDCWD, DT, close } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { ReadFailure } from "./entry-failure.ts";
import { RecordReader } from "./entry-record.ts";
import type { Inode, ReadEntry } from "./entry-record.ts";
import { linkNames } from "./hard-links.ts";
import type { LinkedLeaf } from "./hard-links.ts";
import { LargeFileReader } from "./large-file.ts";
import { ObjectStore } from "./object-store.ts";
import { limitsFor } from "./open-files.ts";
import type { Limits } from "./open-files.ts";
import { OpenDirectory } from "./open-directory.ts";
import type { GrowingDirectory } from "./open-directory.ts";
import type { ScanCounts, ScanOptions, ScanResult } from "./options.ts";
import { asReadError, asRootError, cannotRead, joinPath } from "./read-error.ts";
import { xattrChoice } from "./read-xattrs.ts";
import type { XattrChoice } from "./read-xattrs.ts";
import { TaskPool } from "./task-pool.ts";
import { encodeType } from "./tasks.ts";
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

/** Some entries of one directory. */
interface BatchPart {
  readonly directory: OpenDirectory;
  readonly names: readonly ByteString[];
  /** As in {@link EntriesPart}. */
  readonly types: string;
}

/** A directory that has been seen and not been opened. */
interface FoundDirectory {
  readonly parent: OpenDirectory;
  readonly name: ByteString;
}

class Scan {
  readonly #path: ByteString;
  readonly #options: ScanOptions;
  readonly #xattrs: XattrChoice;
  readonly #limits: Limits;
  readonly #cancelled = new SharedArrayBuffer(4);
  readonly #store: ObjectStore | undefined;
  readonly #pool: TaskPool;
  readonly #large: LargeFileReader;
  readonly #open = new Set<OpenDirectory>();
  readonly #found: FoundDirectory[] = [];
  readonly #linked = new Map<Leaf, LinkedLeaf>();
  /** Entries that have been seen and not been handed out. */
  readonly #listed: BatchPart[] = [];
  #listedEntries = 0;
  /** Tasks without a reply, and who waits for one. */
  #unanswered = 0;
  #onAnswer: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #committed = false;
  #walked = false;
  #total = 1;
  #read = 0;
  #bytes = 0;
  readonly #counts = {
    directories: 0,
    leaves: 0,
    externalFiles: 0,
    externalBytes: 0,
    objects: 0,
    objectBytes: 0,
  };

  constructor(path: ByteString, options: ScanOptions) {
    this.#path = path;
    this.#options = options;
    this.#xattrs = xattrChoice(options);
    const threads = options.threads ?? availableParallelism();
    this.#limits = limitsFor(threads);
    this.#store =
      options.digestStore === undefined
        ? undefined
        : ObjectStore.open(options.digestStore, this.#limits.groupObjects);
    const config: ThreadConfig = {
      xattrs: this.#xattrs,
      skipDevices: options.skipDevices ?? false,
      cancelled: this.#cancelled,
      store: this.#store?.config,
    };
    this.#pool = new TaskPool(config, threads);
    this.#large = new LargeFileReader(this.#pool, config, {
      useEpoch: options.useEpoch ?? false,
      lanes: this.#limits.batches,
      onBytes: (bytes) => {
        this.#bytes += bytes;
        this.#report();
      },
    });
    options.signal?.addEventListener("abort", this.#cancel);
  }

  async run(): Promise<ScanResult> {
    const root = this.#openDirectory(AT_FDCWD, this.#path, this.#path);
    await this.#walk();
    if (this.#options.hardlinks === true) linkNames(root, this.#linked);
    await this.#commit();
    const written = this.#store?.written;
    const counts: ScanCounts = {
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
    while (this.#unanswered > 0) await this.#answer();
    if (!this.#committed) await this.#store?.discard();
    await this.#pool.close();
    for (const directory of this.#open) directory.abandon();
    this.#store?.close();
  }

  async #walk(): Promise<void> {
    for (;;) {
      this.#assertRunning();
      this.#store?.sealIfLarge(this.#pool);
      if (this.#store?.isFull === true) await this.#store.settle();
      if (this.#unanswered >= this.#limits.batches) {
        await this.#answer();
      } else if (this.#listedEntries >= this.#limits.batchEntries) {
        this.#submit(this.#takeBatch());
      } else if (this.#found.length > 0) {
        this.#enter(this.#found.pop()!);
      } else if (this.#listed.length > 0) {
        this.#submit(this.#takeBatch());
      } else if (this.#unanswered > 0) {
        // A file system that hides types may still bring directories.
        this.#walked = true;
        await this.#answer();
      } else {
        return;
      }
    }
  }

  #enter({ parent, name }: FoundDirectory): void {
    const path = joinPath(parent.path, name);
    const node = this.#openDirectory(parent.fd, name, path);
    parent.node.entries.set(name, node);
    this.#release(parent);
  }

  /** Opens a directory, and hands out what is in it. */
  #openDirectory(parent: Fd, name: ByteString, path: ByteString): GrowingDirectory {
    const { useEpoch = false } = this.#options;
    const xattrs = this.#xattrs;
    const directory = this.#about(path, () => {
      return new OpenDirectory(parent, name, path, { useEpoch, xattrs });
    });
    this.#open.add(directory);
    this.#counts.directories++;
    this.#read++;
    let names: ByteString[] = [];
    let types = "";
    for (const entry of this.#about(path, () => directory.readEntries())) {
      this.#total++;
      if (entry.type === DT.dir) {
        this.#find(directory, entry.name as ByteString);
        continue;
      }
      names.push(entry.name as ByteString);
      types += encodeType(entry.type);
      if (names.length === this.#limits.batchEntries) {
        this.#list({ directory, names, types });
        names = [];
        types = "";
      }
    }
    if (names.length > 0) this.#list({ directory, names, types });
    this.#release(directory);
    return directory.node;
  }

  #find(parent: OpenDirectory, name: ByteString): void {
    parent.retain();
    this.#found.push({ parent, name });
  }

  #release(directory: OpenDirectory): void {
    if (directory.release() === "in-use") return;
    this.#open.delete(directory);
    this.#about(directory.path, () => directory.close());
  }

  #list(part: BatchPart): void {
    part.directory.retain();
    this.#listed.push(part);
    this.#listedEntries += part.names.length;
  }

  /** Takes about as many entries as a batch should have. */
  #takeBatch(): BatchPart[] {
    const batch: BatchPart[] = [];
    for (let entries = 0; entries < this.#limits.batchEntries && this.#listed.length > 0;) {
      const part = this.#listed.pop()!;
      batch.push(part);
      entries += part.names.length;
    }
    for (const { names } of batch) this.#listedEntries -= names.length;
    return batch;
  }

  #submit(batch: readonly BatchPart[]): void {
    const parts = batch.map(({ directory, names, types }) => {
      return { dirfd: directory.fd, names: `${names.join("/")}/`, types };
    });
    const reply = this.#pool.submit({ kind: "entries", parts });
    this.#awaitAnswer(reply.then((done) => this.#take(batch, done)));
  }

  /** Counts what is under way, and keeps the first failure. */
  #awaitAnswer(answer: Promise<void>): void {
    this.#unanswered++;
    void answer
      .catch((error: unknown) => (this.#failure ??= { error }))
      .finally(() => {
        this.#unanswered--;
        this.#onAnswer?.();
      });
  }

  /** Puts what a thread has read into the tree, and hands in again what it has not. */
  #take(batch: readonly BatchPart[], reply: EntriesReply): void {
    this.#addObjects(reply);
    this.#bytes += reply.bytes;
    this.#read += reply.done;
    const large = [...reply.large];
    try {
      if (this.#failure === undefined) this.#insertAll(batch, reply, large);
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
      if (count === names.length) this.#release(directory);
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
        this.#read--;
        return this.#find(directory, name);
      case "large":
        directory.retain();
        return this.#awaitAnswer(this.#readLarge(directory, name, large.shift()!));
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
      if (error instanceof ReadFailure && error.code === "store-failed") {
        throw this.#store!.failure(error);
      }
      throw asReadError(joinPath(directory.path, name), error);
    } finally {
      this.#addObjects(this.#large.take());
    }
    this.#release(directory);
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

  /** Waits for the next reply. */
  #answer(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
    });
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
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #report(): void {
    this.#options.onProgress?.({
      phase: this.#walked ? "digest" : "scan",
      files: this.#read,
      bytes: this.#bytes,
      ...(this.#walked ? { totalFiles: this.#total } : {}),
    });
  }

  /** Does something with the directory `path`, and names it if that fails. */
  #about<T>(path: ByteString, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw path === this.#path ? asRootError(path, error) : asReadError(path, error);
    }
  }

  #describe(rest: readonly BatchPart[], failure: EntryFailure): ComposefsError {
    const part = rest[0];
    if (failure.entry === undefined || part === undefined) return this.#store!.failure(failure);
    return cannotRead(joinPath(part.directory.path, part.names[0]!), failure);
  }
}
