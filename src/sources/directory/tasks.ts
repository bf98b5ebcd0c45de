/**
 * What the threads of a scan say to each other. Descriptors are numbers that all threads share.
 */

import type { FsVerityAlgorithm } from "../../core/fsverity/digest.ts";
import type { Fd } from "../../floor/mod.ts";
import type { ObjectFailure } from "../../store/objects/object-failure.ts";
import type { ClaimedStore } from "../../store/objects/object-writer.ts";
import type { StagedObject } from "../../store/objects/staged-object.ts";
import type { ReadFailure } from "./entry-failure.ts";
import type { XattrChoice } from "./read-xattrs.ts";

/** What every thread of a scan needs to know. */
export interface ThreadConfig {
  readonly algorithm: FsVerityAlgorithm;
  readonly xattrs: XattrChoice;
  readonly skipDevices: boolean;
  /** Not 0: stop at the next entry. */
  readonly cancelled: SharedArrayBuffer;
  readonly store: ClaimedStore | undefined;
}

/** A piece of work. */
export type Task = EntriesTask | RangeTask | PublishTask;

/** Reads some entries. */
export interface EntriesTask {
  readonly kind: "entries";
  readonly parts: readonly EntriesPart[];
}

/** Entries of one directory. */
export interface EntriesPart {
  /** The directory, open until the reply is there. */
  readonly dirfd: Fd;
  /** The names of the entries, each with a slash behind it. */
  readonly names: string;
  /** For each entry the letter of its `d_type`; see `encodeType`. */
  readonly types: string;
}

/** Reads and hashes a part of a large file. */
export interface RangeTask {
  readonly kind: "range";
  readonly fd: Fd;
  /** What is read is written here, too, at the same place. */
  readonly to: Fd | undefined;
  /** A multiple of the unit of the algorithm, see `rangeUnit`. */
  readonly offset: number;
  readonly length: number;
}

/** Gives objects their names. Their content is durable. */
export interface PublishTask {
  readonly kind: "publish";
  readonly objects: readonly StagedObject[];
}

/** The answer to an {@link EntriesTask}. */
export interface EntriesReply {
  readonly kind: "entries";
  /** How many entries were read, from the first on; the rest are still to be read. */
  readonly done: number;
  /** One record for each; see entry-record.ts. */
  readonly records: Uint8Array;
  /** The caller owns their descriptors now. */
  readonly staged: readonly StagedObject[];
  /** The files that are too large for one thread, open, in the order of their records: the caller's now. */
  readonly large: readonly Fd[];
  /** Bytes of content read. */
  readonly bytes: number;
  /** Different objects met for the first time in this run, and their bytes. */
  readonly objects: number;
  readonly objectBytes: number;
  /** Why the entry with number `done` could not be read. */
  readonly failure: EntryFailure | undefined;
}

/** The answer to a {@link RangeTask}. */
export interface RangeReply {
  readonly kind: "range";
  /** A hash for each unit. */
  readonly hashes: Uint8Array;
  readonly failure: EntryFailure | undefined;
}

/** The answer to a {@link PublishTask}. */
export interface PublishReply {
  readonly kind: "publish";
  /** How many objects have their names; the descriptors of all objects are closed. */
  readonly done: number;
  readonly failure: EntryFailure | undefined;
}

export type Reply = EntriesReply | RangeReply | PublishReply;

/** The reply that a task of this type gets. */
export type ReplyTo<T extends Task> = Extract<Reply, { readonly kind: T["kind"] }>;

/** What went wrong, without the path, which only the walking thread knows. */
export interface EntryFailure {
  readonly code: ReadFailure["code"] | ObjectFailure["code"];
  readonly reason: string;
  readonly hint: string | undefined;
  /** The entry that was read when it happened, counted from 0; none if it was about the store. */
  readonly entry: number | undefined;
}

const FIRST_TYPE_LETTER = 0x41;

/** A `d_type` as one letter. */
export function encodeType(type: number): string {
  return String.fromCharCode(FIRST_TYPE_LETTER + type);
}

/** The `d_type` that the letter at `index` stands for. */
export function decodeType(types: string, index: number): number {
  return types.charCodeAt(index) - FIRST_TYPE_LETTER;
}
