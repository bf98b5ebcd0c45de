/**
 * All writes of a machine to a disk, in order, and the disk as a power cut at any of them would have left it.
 *
 * QEMU's block driver `blklogwrites` records them. Source: QEMU block/blklogwrites.c and Linux
 * Documentation/admin-guide/device-mapper/log-writes.rst: a sector with the superblock, then for each entry a
 * sector with its header, followed by its data.
 */

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { copyDisk } from "./disk.ts";

const WRITE_LOG_MAGIC = 0x6a736677736872n;
const LOG_FLUSH_FLAG = 1n;
const LOG_DISCARD_FLAG = 4n;

interface Entry {
  /** Where on the disk, in bytes. */
  readonly offset: number;
  readonly data: Uint8Array;
  /** Whether all that was written before is safe once this is done. */
  readonly isFlush: boolean;
}

export class WriteLog {
  readonly #entries: readonly Entry[];

  /** Reads the log that a machine wrote; it must be off, and have flushed its disk before. */
  constructor(path: string) {
    this.#entries = [...readEntries(readFileSync(path))];
  }

  /** Number of writes and flushes. */
  get length(): number {
    return this.#entries.length;
  }

  /**
   * Makes the disk that a power cut after `count` entries leaves: all that was flushed, and of what was
   * written since, only those writes for which `survives` returns true. A disk's own memory is like that.
   */
  cut(before: string, after: string, count: number, survives: () => boolean): void {
    copyDisk(before, after);
    const entries = this.#entries.slice(0, count);
    const safe = entries.findLastIndex((entry) => entry.isFlush);
    const disk = openSync(after, "r+");
    try {
      entries.forEach(({ offset, data }, index) => {
        if (index <= safe || survives()) writeSync(disk, data, 0, data.length, offset);
      });
    } finally {
      closeSync(disk);
    }
  }
}

function* readEntries(log: Buffer): Iterable<Entry> {
  if (log.readBigUInt64LE(0) !== WRITE_LOG_MAGIC) throw new Error("not a log of writes");
  const count = log.readBigUInt64LE(16);
  const sectorSize = log.readUInt32LE(24);
  let at = sectorSize;
  for (let number = 0n; number < count; number += 1n) {
    const sector = Number(log.readBigUInt64LE(at));
    const sectors = Number(log.readBigUInt64LE(at + 8));
    const flags = log.readBigUInt64LE(at + 16);
    at += sectorSize;
    const hasData = (flags & LOG_DISCARD_FLAG) === 0n;
    const size = hasData ? sectors * sectorSize : 0;
    // What a disk returns after a discard is its own affair: leaving the data there is one of the answers.
    yield {
      offset: sector * sectorSize,
      data: log.subarray(at, at + size),
      isFlush: (flags & LOG_FLUSH_FLAG) !== 0n,
    };
    at += size;
  }
}
