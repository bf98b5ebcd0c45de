/**
 * The names of a repository: the links in `streams/` and `images/`, and the refs below them.
 *
 * Nothing here stops at a file that does not belong: whatever it is, it is handed back as strange, for
 * garbage collection to leave alone and for fsck to report. Symlinks are read, never followed.
 */

import { concatByteStrings } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  SyscallError,
  close,
  describeErrno,
  isErrno,
  openat,
  readlinkat,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { kindOfEntry, sortedEntries } from "./directory-entries.ts";
import type { SurveyedEntry } from "./directory-entries.ts";
import { entryOfRef, isTemporaryName, objectOfLink } from "./names.ts";
import type { Category, RepositoryFiles } from "./repository-files.ts";

/** A file that does not belong where it is. */
export interface StrangeFile {
  /** Path in the repository. */
  readonly path: ByteString;
  /** What is strange about it: `a directory, not a symlink`. */
  readonly reason: string;
  /** There may be refs in it that could not be read. */
  readonly mayHideRefs?: true;
}

/** A ref: a name that keeps something alive. */
export interface Ref {
  readonly category: Category;
  /** Below `refs/`: `oci/debian:13`. */
  readonly name: ByteString;
  /** The entry of the category that it leads to. */
  readonly entry: ByteString;
}

/** All names of one kind. */
export interface CategoryLinks {
  readonly category: Category;
  /** The entries that lead to an object, be it there or not, in byte order. */
  readonly entries: ReadonlyMap<ByteString, FsVerityDigest>;
  /** In byte order. */
  readonly refs: readonly Ref[];
  /** Paths of links that somebody was about to rename. */
  readonly temporary: readonly ByteString[];
  readonly strange: readonly StrangeFile[];
}

/** Directories of refs below each other. */
const MAX_DEPTH = 32;

/** Reads all names of one kind; a category that is not there has none. */
export function readLinks(repository: RepositoryFiles, category: Category): CategoryLinks {
  return new LinkReader(repository, category).read();
}

class LinkReader {
  readonly #repository: RepositoryFiles;
  readonly #category: Category;
  readonly #entries = new Map<ByteString, FsVerityDigest>();
  readonly #refs: Ref[] = [];
  /** Links among the refs that lead elsewhere, and the entries that their targets end with. */
  readonly #odd: Ref[] = [];
  readonly #temporary: ByteString[] = [];
  readonly #strange: StrangeFile[] = [];

  constructor(repository: RepositoryFiles, category: Category) {
    this.#repository = repository;
    this.#category = category;
  }

  read(): CategoryLinks {
    this.#inDirectory(this.#repository.dirfd, this.#category as ByteString, (dirfd, entries) => {
      for (const entry of entries) {
        const { name } = entry;
        if (name === "refs") this.#readRefs(dirfd, name, join(this.#category, name), 0);
        else this.#readEntry(dirfd, entry);
      }
    });
    this.#refs.push(...this.#odd.filter(({ entry }) => this.#entries.has(entry)));
    return {
      category: this.#category,
      entries: this.#entries,
      refs: this.#refs,
      temporary: this.#temporary,
      strange: this.#strange,
    };
  }

  #readEntry(dirfd: Fd, entry: SurveyedEntry): void {
    const { name } = entry;
    const path = join(this.#category, name);
    const target = this.#readLink(dirfd, entry, path);
    if (target === undefined) return;
    const digest = objectOfLink(target, this.#repository.algorithm);
    if (digest !== undefined) this.#entries.set(name, digest);
    else this.#strange.push({ path, reason: "a link that does not lead to an object" });
  }

  #readRefs(parent: Fd, name: ByteString, path: ByteString, depth: number): void {
    if (depth > MAX_DEPTH) {
      const reason = `directories more than ${MAX_DEPTH} deep`;
      this.#strange.push({ path, reason, mayHideRefs: true });
      return;
    }
    this.#inDirectory(
      parent,
      name,
      (dirfd, entries) => {
        for (const entry of entries) this.#readRef(dirfd, entry, path, depth);
      },
      path,
    );
  }

  #readRef(dirfd: Fd, link: SurveyedEntry, parent: ByteString, depth: number): void {
    const path = join(parent, link.name);
    if (kindOfEntry(dirfd, link) === "directory") {
      this.#readRefs(dirfd, link.name, path, depth + 1);
      return;
    }
    const target = this.#readLink(dirfd, link, path);
    if (target === undefined) return;
    const below = path.slice(`${this.#category}/refs/`.length) as ByteString;
    const entry = entryOfRef(target, depth);
    if (entry !== undefined) {
      this.#refs.push({ category: this.#category, name: below, entry });
      return;
    }
    const reason = `a ref that does not lead to an entry of ${this.#category}`;
    this.#strange.push({ path, reason });
    // composefs-rs looks at the last part of the target alone: what it keeps is kept here, too.
    const last = target.slice(target.lastIndexOf("/") + 1) as ByteString;
    this.#odd.push({ category: this.#category, name: below, entry: last });
  }

  /** The target of a link; `undefined` for what is none, which is noted. */
  #readLink(dirfd: Fd, entry: SurveyedEntry, path: ByteString): ByteString | undefined {
    const { name } = entry;
    const kind = kindOfEntry(dirfd, entry);
    if (kind === undefined) return undefined; // gone meanwhile
    if (isTemporaryName(name) && (kind === "symlink" || kind === "file")) {
      this.#temporary.push(path);
      return undefined;
    }
    if (kind !== "symlink") {
      this.#strange.push({ path, reason: `a ${kind}, not a symlink` });
      return undefined;
    }
    try {
      return readlinkat(dirfd, name) as ByteString;
    } catch (error) {
      if (isErrno(error, "ENOENT", "EINVAL")) return undefined;
      throw error;
    }
  }

  /** Runs `work` with a directory and its entries in byte order; one that is no directory is noted. */
  #inDirectory(
    parent: Fd,
    name: ByteString,
    work: (dirfd: Fd, entries: readonly SurveyedEntry[]) => void,
    path: ByteString = name,
  ): void {
    let dirfd: Fd;
    try {
      dirfd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (error.errnoName === "ENOENT") return;
      // A link instead of a directory could lead anywhere: what hangs on it cannot be known.
      const isNone = ["ENOTDIR", "ELOOP"].includes(error.errnoName);
      const reason = isNone ? "not a directory" : `cannot be opened: ${describeErrno(error.errno)}`;
      this.#strange.push({ path, reason, mayHideRefs: true });
      return;
    }
    try {
      work(dirfd, sortedEntries(dirfd));
    } finally {
      close(dirfd);
    }
  }
}

function join(directory: string, name: ByteString): ByteString {
  return concatByteStrings(directory as ByteString, "/" as ByteString, name);
}
