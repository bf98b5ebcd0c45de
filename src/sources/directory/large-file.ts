/**
 * A large file: read in ranges by all threads, written to the store while it is read, or, where most
 * objects are there already, only when it has turned out to be new.
 */

import type { BlockHash } from "../../core/fsverity/block-hash.ts";
import { DIGEST_SIZE, objectPath } from "../../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { digestOfUnits, rangeUnit } from "../../core/fsverity/range.ts";
import type { RegularFile } from "../../core/tree/node.ts";
import { blockHash, close, fstat } from "../../floor/mod.ts";
import type { Fd, FileStat } from "../../floor/mod.ts";
import { asFailure, changed } from "./entry-failure.ts";
import { LARGE_FILE_SIZE } from "./entry-reader.ts";
import { toStat } from "./entry-record.ts";
import type { Inode } from "./entry-record.ts";
import { ObjectWriter } from "../../store/objects/object-writer.ts";
import { readXattrs } from "./read-xattrs.ts";
import type { TaskPool } from "./task-pool.ts";
import type { StagedObject } from "../../store/objects/staged-object.ts";
import type { ThreadConfig } from "./tasks.ts";

/** Bytes of a range: 3 ms of work. */
const RANGE_SIZE = 1 << 23;

/** What a large file turned out to be. */
export interface ReadLargeFile {
  readonly leaf: RegularFile;
  readonly inode: Inode;
}

/** Has large files read. */
export class LargeFileReader {
  readonly #pool: TaskPool;
  readonly #config: ThreadConfig;
  readonly #useEpoch: boolean;
  /** Ranges of one file that are under way at a time. */
  readonly #lanes: number;
  readonly #onBytes: (bytes: number) => void;
  readonly #objects: ObjectWriter | undefined;
  readonly #hash: BlockHash;

  constructor(
    pool: TaskPool,
    config: ThreadConfig,
    options: {
      readonly useEpoch: boolean;
      readonly lanes: number;
      readonly onBytes: (bytes: number) => void;
    },
  ) {
    this.#pool = pool;
    this.#config = config;
    this.#hash = blockHash(config.algorithm);
    this.#useEpoch = options.useEpoch;
    this.#lanes = options.lanes;
    this.#onBytes = options.onBytes;
    this.#objects = config.store === undefined ? undefined : new ObjectWriter(config.store);
  }

  /** Reads the open file `fd` and closes it. Throws `ReadFailure`, or what a failed call throws. */
  async read(fd: Fd): Promise<ReadLargeFile> {
    try {
      const before = fstat(fd);
      if (before.size < LARGE_FILE_SIZE) throw changed();
      const xattrs = readXattrs(fd, this.#config.xattrs);
      const digest = await this.#readContent(fd, before);
      const { size, dev, ino, nlink } = before;
      const stat = toStat(before, xattrs, this.#useEpoch);
      const content = { kind: "external", size, path: objectPath(digest), digest } as const;
      return { leaf: { kind: "file", stat, nlink: 1, content }, inode: { dev, ino, nlink } };
    } finally {
      close(fd);
    }
  }

  /** What was staged and counted since the last call; see `ObjectWriter.take`. */
  take(): { staged: StagedObject[]; objects: number; objectBytes: number } {
    return this.#objects?.take() ?? { staged: [], objects: 0, objectBytes: 0 };
  }

  async #readContent(fd: Fd, before: FileStat): Promise<FsVerityDigest> {
    const objects = this.#objects;
    const { size } = before;
    if (objects?.expectsNew === true) {
      return this.#copy(fd, before, objects, (digest) => objects.needs(digest, size));
    }
    const digest = await this.#readRanges(fd, size, undefined);
    assertUnchanged(fd, before);
    if (objects?.needs(digest, size) === true) {
      await this.#copy(fd, before, objects, (copied) => {
        if (copied !== digest) throw changed();
        return true;
      });
    }
    return digest;
  }

  /** Makes an object of the file; `isWanted` says whether to keep it when its digest is known. */
  async #copy(
    fd: Fd,
    before: FileStat,
    objects: ObjectWriter,
    isWanted: (digest: FsVerityDigest) => boolean,
  ): Promise<FsVerityDigest> {
    const file = objects.begin();
    let isStaged = false;
    try {
      // Of a reflinked object its own content is hashed, which nobody else can change.
      const digest = objects.clone(fd, file)
        ? await this.#readRanges(file.fd, before.size, undefined)
        : await this.#readRanges(fd, before.size, file.fd);
      assertUnchanged(fd, before);
      if (isWanted(digest)) {
        objects.stage(file, digest, before.size);
        isStaged = true;
      }
      return digest;
    } finally {
      if (!isStaged) objects.drop(file);
    }
  }

  /** Returns when no thread uses the descriptors any more, also if one of them has failed. */
  async #readRanges(fd: Fd, size: number, to: Fd | undefined): Promise<FsVerityDigest> {
    const hashSize = DIGEST_SIZE[this.#config.algorithm];
    const hashes = new Uint8Array(Math.ceil(size / rangeUnit(this.#hash)) * hashSize);
    const hashesInRange = (RANGE_SIZE / rangeUnit(this.#hash)) * hashSize;
    let next = 0;
    let failed = false;
    const readNext = async (): Promise<void> => {
      const index = next++;
      const offset = index * RANGE_SIZE;
      const length = Math.min(RANGE_SIZE, size - offset);
      const { hashes: read, failure } = await this.#pool.submit({
        kind: "range",
        fd,
        to,
        offset,
        length,
      });
      if (failure !== undefined) {
        throw asFailure(failure);
      }
      hashes.set(read, index * hashesInRange);
      this.#onBytes(length);
    };
    const lane = async (): Promise<void> => {
      try {
        while (!failed && next * RANGE_SIZE < size) await readNext();
      } catch (error) {
        failed = true;
        throw error;
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: this.#lanes }, lane));
    for (const done of lanes) if (done.status === "rejected") throw done.reason;
    return digestOfUnits(this.#hash, size, hashes);
  }
}

function assertUnchanged(fd: Fd, before: FileStat): void {
  if (!fstat(fd).isSameStateAs(before)) throw changed();
}
