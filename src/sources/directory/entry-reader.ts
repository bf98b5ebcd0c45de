/**
 * Reads the entries of directories in one thread: stat, xattrs, content, digest, object.
 *
 * A file is opened once, never through a symlink, and read once; what was read is what is hashed and
 * what becomes the object. Its stat before and after reading must be the same. Small files are hashed
 * many at a time; large ones are only opened, for all threads to read (large-file.ts).
 */

import { FsVerityBatch } from "../../core/fsverity/batch.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { LCFS_RECOMMENDED_INLINE_CONTENT_MAX } from "../../core/erofs/format.ts";
import {
  DT,
  FileStat,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  blockHash,
  close,
  fstat,
  isErrno,
  lstatat,
  openat,
  preadFully,
  readlinkat,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { changed, describeFailure } from "./entry-failure.ts";
import { PAYLOAD, RecordWriter } from "./entry-record.ts";
import type { NamedXattr } from "./entry-record.ts";
import { ObjectWriter } from "../../store/objects/object-writer.ts";
import { decodeType } from "./tasks.ts";
import type { EntriesReply, EntriesTask, EntryFailure, ThreadConfig } from "./tasks.ts";
import { readXattrs, readXattrsAt } from "./read-xattrs.ts";

/** Bytes that are read and hashed at a time: they stay in the processor's cache in between. */
const CHUNK_SIZE = 1 << 18;

/**
 * From this size on a file is read by all threads. A smaller one is held in memory until it is known
 * whether the store needs it.
 */
export const LARGE_FILE_SIZE = 1 << 23;

/** A file whose content is in the batch and whose digest is still to come. */
interface PendingFile {
  readonly record: number;
  readonly size: number;
  readonly content: Uint8Array;
  /** Open only where there is a store, which may want to share its extents. */
  readonly fd: Fd | undefined;
}

/** One thread's reader, with the buffers that it uses again and again. */
export class EntryReader {
  readonly #config: ThreadConfig;
  readonly #cancelled: Int32Array;
  readonly #objects: ObjectWriter | undefined;
  readonly #records: RecordWriter;
  readonly #batch: FsVerityBatch;
  readonly #hasher: FsVerityHasher;
  readonly #before = new FileStat();
  readonly #after = new FileStat();
  readonly #inline = Buffer.allocUnsafeSlow(LCFS_RECOMMENDED_INLINE_CONTENT_MAX);
  readonly #chunk = new Uint8Array(CHUNK_SIZE);
  #held: Uint8Array | undefined;
  #pending: PendingFile[] = [];
  #large: Fd[] = [];
  #bytes = 0;

  constructor(config: ThreadConfig) {
    this.#config = config;
    this.#cancelled = new Int32Array(config.cancelled);
    this.#objects = config.store === undefined ? undefined : new ObjectWriter(config.store);
    const hash = blockHash(config.algorithm);
    this.#records = new RecordWriter(config.algorithm);
    this.#batch = new FsVerityBatch(hash);
    this.#hasher = new FsVerityHasher(hash);
  }

  /**
   * Reads entries until all are done, one fails, the scan is cancelled, or `budget` bytes of content
   * have been read.
   */
  read(task: EntriesTask, budget: number): EntriesReply {
    this.#bytes = 0;
    let done = 0;
    let failure: EntryFailure | undefined;
    try {
      done = this.#readEntries(task, budget, (count) => (done = count));
      this.#finishPending();
    } catch (error) {
      failure = describeFailure(error, done);
      this.#abandonPending();
    }
    const large = this.#large;
    this.#large = [];
    const taken = this.#objects?.take() ?? { staged: [], objects: 0, objectBytes: 0 };
    return {
      kind: "entries",
      done,
      records: this.#records.take(),
      bytes: this.#bytes,
      large,
      failure,
      ...taken,
    };
  }

  #readEntries(task: EntriesTask, budget: number, onEntry: (done: number) => void): number {
    let done = 0;
    for (const { dirfd, names, types } of task.parts) {
      for (let index = 0, at = 0; index < types.length; index++) {
        if (this.#bytes >= budget || Atomics.load(this.#cancelled, 0) !== 0) return done;
        const end = names.indexOf("/", at);
        this.#readEntry(dirfd, decodeType(types, index), names.slice(at, end) as ByteString);
        at = end + 1;
        onEntry(++done);
      }
    }
    return done;
  }

  #readEntry(dirfd: Fd, hintedType: number, name: ByteString): void {
    const type =
      hintedType === DT.unknown ? typeOf(lstatat(dirfd, name, this.#before)) : hintedType;
    switch (type) {
      case DT.reg:
        return this.#readFile(dirfd, name);
      case DT.dir:
        this.#records.add(this.#before, PAYLOAD.directory, "", []);
        return;
      default:
        return this.#readSpecial(dirfd, name, type);
    }
  }

  /** A symlink, device, fifo or socket: nothing of it is ever opened. */
  #readSpecial(dirfd: Fd, name: ByteString, type: number): void {
    const stat = lstatat(dirfd, name, this.#before);
    if (typeOf(stat) !== type) throw changed();
    if (this.#config.skipDevices && (type === DT.chr || type === DT.blk)) {
      this.#records.add(stat, PAYLOAD.skipped, "", []);
      return;
    }
    const xattrs = readXattrsAt(dirfd, name, this.#config.xattrs);
    if (type === DT.lnk) {
      this.#records.add(stat, PAYLOAD.target, readlinkat(dirfd, name), xattrs);
    } else {
      this.#records.add(stat, PAYLOAD.none, "", xattrs);
    }
  }

  #readFile(dirfd: Fd, name: ByteString): void {
    let fd: Fd;
    try {
      fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    } catch (error) {
      if (isErrno(error, "EACCES", "EPERM") && this.#readEmptyFile(dirfd, name)) return;
      throw error;
    }
    let keepsOpen = false;
    try {
      const stat = fstat(fd, this.#before);
      if (typeOf(stat) !== DT.reg) throw changed();
      keepsOpen = this.#readContent(fd, stat.size, readXattrs(fd, this.#config.xattrs));
    } finally {
      if (!keepsOpen) close(fd);
    }
  }

  /** A file that may not be opened has no secrets if it is empty. */
  #readEmptyFile(dirfd: Fd, name: ByteString): boolean {
    const stat = lstatat(dirfd, name, this.#before);
    if (typeOf(stat) !== DT.reg || stat.size !== 0) return false;
    const xattrs = readXattrsAt(dirfd, name, this.#config.xattrs);
    this.#records.add(stat, PAYLOAD.inline, "", xattrs);
    return true;
  }

  /** Reads the content, by size in one of four ways; returns whether `fd` is still needed. */
  #readContent(fd: Fd, size: number, xattrs: readonly NamedXattr[]): boolean {
    if (size <= LCFS_RECOMMENDED_INLINE_CONTENT_MAX) {
      const content = this.#inline.subarray(0, size);
      if (size > 0) this.#fill(fd, content, 0);
      this.#assertUnchanged(fd);
      this.#records.add(this.#before, PAYLOAD.inline, content.toString("latin1"), xattrs);
      return false;
    }
    if (size <= this.#batch.maxFileSize) return this.#readToBatch(fd, size, xattrs);
    if (size >= LARGE_FILE_SIZE) {
      this.#records.add(this.#before, PAYLOAD.large, "", []);
      this.#large.push(fd);
      return true;
    }
    const record = this.#records.add(this.#before, PAYLOAD.digest, "", xattrs);
    this.#records.setDigest(record, this.#readWhole(fd, size));
    return false;
  }

  #readToBatch(fd: Fd, size: number, xattrs: readonly NamedXattr[]): boolean {
    let content = this.#batch.add(size);
    if (content === undefined) {
      this.#finishPending();
      content = this.#batch.add(size)!;
    }
    this.#fill(fd, content, 0);
    this.#assertUnchanged(fd);
    const record = this.#records.add(this.#before, PAYLOAD.digest, "", xattrs);
    const keepsOpen = this.#objects !== undefined;
    this.#pending.push({ record, size, content, fd: keepsOpen ? fd : undefined });
    return keepsOpen;
  }

  /** Gives the files in the batch their digests, and the store what it needs of them. */
  #finishPending(): void {
    const digests = this.#batch.digests();
    for (const [index, { record, size, content, fd }] of this.#pending.entries()) {
      const digest = digests[index]!;
      this.#records.setDigest(record, digest);
      if (fd !== undefined && this.#objects?.needs(digest, size) === true) {
        this.#objects.put(digest, content, fd);
      }
    }
    this.#closePending();
  }

  #abandonPending(): void {
    this.#batch.digests();
    this.#closePending();
  }

  #closePending(): void {
    for (const { fd } of this.#pending) if (fd !== undefined) close(fd);
    this.#pending = [];
  }

  /** Reads a file in pieces that stay in the processor's cache; where there is a store, keeps them. */
  #readWhole(fd: Fd, size: number): FsVerityDigest {
    const objects = this.#objects;
    if (objects !== undefined) this.#held ??= new Uint8Array(LARGE_FILE_SIZE);
    for (let at = 0; at < size; at += CHUNK_SIZE) {
      const length = Math.min(CHUNK_SIZE, size - at);
      const chunk = this.#held?.subarray(at, at + length) ?? this.#chunk.subarray(0, length);
      this.#fill(fd, chunk, at);
      this.#hasher.update(chunk);
    }
    this.#assertUnchanged(fd);
    const digest = this.#hasher.digest();
    if (objects?.needs(digest, size) === true) {
      objects.put(digest, this.#held!.subarray(0, size), fd);
    }
    return digest;
  }

  #fill(fd: Fd, into: Uint8Array, offset: number): void {
    if (preadFully(fd, into, offset) !== into.length) throw changed();
    this.#bytes += into.length;
  }

  #assertUnchanged(fd: Fd): void {
    if (!fstat(fd, this.#after).isSameStateAs(this.#before)) throw changed();
  }
}

/** The `d_type` that the type bits of a mode stand for. */
function typeOf(stat: FileStat): number {
  return stat.mode >> 12;
}
