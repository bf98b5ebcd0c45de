/**
 * How many objects may be open at a time: the limit of open files, shared out.
 */

import { readOpenFilesLimit } from "../../store/objects/open-files-limit.ts";

/** Entries in a batch: about 1 ms of work. */
const BATCH_ENTRIES = 128;

/** Batches that may wait or be read per thread before the walk pauses. */
const BATCHES_PER_THREAD = 6;

/** Larger groups gain nothing. */
const GROUP_OBJECTS = 16384;

/** Limits that keep a scan below the limit of open files. */
export interface Limits {
  /** Entries in a batch. */
  readonly batchEntries: number;
  /** Batches that may wait or be read at a time. */
  readonly batches: number;
  /** Objects that are made durable together. */
  readonly groupObjects: number;
}

/**
 * Shares out the open files: a quarter each to the batches under way (each of their entries may become
 * an object), to the group that is collected, to the group that is synced, and to everything else.
 */
export function limitsFor(threads: number, openFiles = readOpenFilesLimit()): Limits {
  const quarter = Math.floor(openFiles / 4);
  const batches = BATCHES_PER_THREAD * threads;
  return {
    batchEntries: Math.max(1, Math.min(BATCH_ENTRIES, Math.floor(quarter / batches))),
    batches,
    groupObjects: Math.max(1, Math.min(GROUP_OBJECTS, quarter)),
  };
}
