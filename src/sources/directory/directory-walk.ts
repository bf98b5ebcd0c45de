/**
 * The walk over the directories of a tree: opens one after the other, makes their nodes, and lists in
 * batches what is in them. Directories stay open as long as anything in them is still to be read.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { AT_FDCWD, DT } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { OpenDirectory } from "./open-directory.ts";
import type { GrowingDirectory } from "./open-directory.ts";
import { asReadError, asRootError, joinPath } from "./read-error.ts";
import type { XattrChoice } from "./read-xattrs.ts";
import { encodeType } from "./tasks.ts";

/** Some entries of one directory. */
export interface BatchPart {
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

/** What a walk gives its directories. */
interface WalkOptions {
  readonly useEpoch: boolean;
  readonly xattrs: XattrChoice;
  readonly batchEntries: number;
}

/** A walk. Call `enter` and `takeBatch` in turn until both have nothing left. */
export class DirectoryWalk {
  readonly #options: WalkOptions;
  readonly #open = new Set<OpenDirectory>();
  readonly #found: FoundDirectory[] = [];
  /** Entries that have been seen and not been handed out. */
  readonly #listed: BatchPart[] = [];
  #listedEntries = 0;
  #total = 1;
  #directories = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /** Entries that were seen so far, the root among them. */
  get total(): number {
    return this.#total;
  }

  /** Directories that were opened so far. */
  get directories(): number {
    return this.#directories;
  }

  /** Whether there is a directory to enter. */
  get hasFound(): boolean {
    return this.#found.length > 0;
  }

  /** Whether any entries wait, and whether enough of them for a batch. */
  get waiting(): "none" | "some" | "batch" {
    if (this.#listed.length === 0) return "none";
    return this.#listedEntries >= this.#options.batchEntries ? "batch" : "some";
  }

  /** Opens the root. */
  start(path: ByteString): GrowingDirectory {
    try {
      return this.#openDirectory(AT_FDCWD, path, path);
    } catch (error) {
      throw asRootError(path, error);
    }
  }

  /** Opens a directory that was found. */
  enter(): void {
    const { parent, name } = this.#found.pop()!;
    const path = joinPath(parent.path, name);
    try {
      parent.node.entries.set(name, this.#openDirectory(parent.fd, name, path));
    } catch (error) {
      throw asReadError(path, error);
    }
    this.release(parent);
  }

  /** Notes a directory that is to be entered. */
  find(parent: OpenDirectory, name: ByteString): void {
    parent.retain();
    this.#found.push({ parent, name });
  }

  /** Takes about as many entries as a batch should have. */
  takeBatch(): BatchPart[] {
    const batch: BatchPart[] = [];
    for (let entries = 0; entries < this.#options.batchEntries && this.#listed.length > 0;) {
      const part = this.#listed.pop()!;
      batch.push(part);
      entries += part.names.length;
    }
    for (const { names } of batch) this.#listedEntries -= names.length;
    return batch;
  }

  /** Ends one use of a directory; the last one closes it. Throws if it has changed since it was opened. */
  release(directory: OpenDirectory): void {
    if (directory.release() === "in-use") return;
    this.#open.delete(directory);
    try {
      directory.close();
    } catch (error) {
      throw asReadError(directory.path, error);
    }
  }

  /** Closes what is open after a failure. */
  abandon(): void {
    for (const directory of this.#open) directory.abandon();
    this.#open.clear();
  }

  #openDirectory(parent: Fd, name: ByteString, path: ByteString): GrowingDirectory {
    const directory = new OpenDirectory(parent, name, path, this.#options);
    this.#open.add(directory);
    this.#directories++;
    let names: ByteString[] = [];
    let types = "";
    for (const entry of directory.readEntries()) {
      this.#total++;
      if (entry.type === DT.dir) {
        this.find(directory, entry.name as ByteString);
        continue;
      }
      names.push(entry.name as ByteString);
      types += encodeType(entry.type);
      if (names.length === this.#options.batchEntries) {
        this.#list({ directory, names, types });
        names = [];
        types = "";
      }
    }
    if (names.length > 0) this.#list({ directory, names, types });
    this.release(directory);
    return directory.node;
  }

  #list(part: BatchPart): void {
    part.directory.retain();
    this.#listed.push(part);
    this.#listedEntries += part.names.length;
  }
}
