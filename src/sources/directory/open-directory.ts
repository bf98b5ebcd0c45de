/**
 * A directory of the tree while it is read: its descriptor lives as long as anything in it is still
 * to be opened.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { Directory, Node } from "../../core/tree/node.ts";
import {
  FileStat,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  close,
  fstat,
  openat,
  readDirectory,
} from "../../floor/mod.ts";
import type { DirectoryEntry, Fd } from "../../floor/mod.ts";
import { changed } from "./entry-failure.ts";
import { toStat } from "./entry-record.ts";
import { readXattrs } from "./read-xattrs.ts";
import type { XattrChoice } from "./read-xattrs.ts";

/** What the tree gets of a directory, still growing. */
export interface GrowingDirectory extends Directory {
  readonly entries: Map<ByteString, Node>;
}

/** An open directory. It has one user when it is made, and one more for each `retain`. */
export class OpenDirectory {
  readonly fd: Fd;
  /** For people: where it lies, as the scan was asked for it. */
  readonly path: ByteString;
  readonly node: GrowingDirectory;
  readonly #before = new FileStat();
  #users = 1;

  constructor(
    parent: Fd,
    name: ByteString,
    path: ByteString,
    options: { readonly xattrs: XattrChoice; readonly useEpoch: boolean },
  ) {
    this.path = path;
    this.fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      fstat(this.fd, this.#before);
      const xattrs = readXattrs(this.fd, options.xattrs);
      const stat = toStat(this.#before, xattrs, options.useEpoch);
      this.node = { kind: "directory", stat, entries: new Map() };
    } catch (error) {
      close(this.fd);
      throw error;
    }
  }

  readEntries(): DirectoryEntry[] {
    return readDirectory(this.fd);
  }

  retain(): void {
    this.#users++;
  }

  /** Says whether it was the last user who let go: then `close` is due. */
  release(): "in-use" | "unused" {
    return --this.#users > 0 ? "in-use" : "unused";
  }

  /** Closes the directory. Throws if its entries have changed since it was opened. */
  close(): void {
    try {
      if (!fstat(this.fd).isSameStateAs(this.#before)) throw changed();
    } finally {
      close(this.fd);
    }
  }

  /** Closes the directory of a scan that has failed. */
  abandon(): void {
    close(this.fd);
  }
}
