/**
 * An output file that appears whole or not at all: written beside its name, synced, renamed.
 */

import { write } from "node:fs";

import type { BytePath } from "./byte-path.ts";
import { displayPath } from "./byte-path.ts";
import { ERRNO, SyscallError } from "./errors.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  close,
  fsync,
  lstatatIfExists,
  openat,
  pwriteFully,
  writeFully,
} from "./file.ts";
import type { Fd } from "./file.ts";
import { readlinkat } from "./names.ts";
import { createTemporaryFile, discardTemporaryFile, nameTemporaryFile } from "./temporary-file.ts";
import type { TemporaryFile } from "./temporary-file.ts";

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** As many symlinks as the kernel follows. */
const SYMLINK_LIMIT = 40;

/** A file under construction. End it with `commit` or `discard`; after either it is spent. */
export interface AtomicFile {
  /** Appends bytes; nothing is kept of `chunk` after the call. */
  write(chunk: Uint8Array): void;
  /**
   * Appends bytes, where that is possible in another thread while this one works on: `chunk` must not
   * change until `settle` is over.
   */
  writeBehind(chunk: Uint8Array): void;
  /** Waits until all that `writeBehind` has begun is written; throws its failure. Comes before the end. */
  settle(): Promise<void>;
  /** Makes the content durable, gives the file its name, makes the name durable. */
  commit(): void;
  /** Removes what was written. Does nothing after `commit`. */
  discard(): void;
}

/**
 * Starts a file that will replace `path` (mode 0666 cut by the umask). A symlink is followed, as
 * open(2) would; a directory is refused with EISDIR; a device or pipe is written directly, since
 * nothing else can be done with it.
 */
export function createAtomicFile(path: BytePath): AtomicFile {
  const target = followSymlinks(path);
  const type = (lstatatIfExists(AT_FDCWD, target)?.mode ?? S_IFREG) & S_IFMT;
  if (type === S_IFDIR) throw new SyscallError("open", ERRNO["EISDIR"]!, displayPath(path));
  if (type !== S_IFREG) return new DirectFile(openat(AT_FDCWD, target, O_WRONLY));
  const slash = target.lastIndexOf("/");
  const directory = slash < 0 ? "." : target.slice(0, slash + 1);
  const name = target.slice(slash + 1);
  if (name === "") throw new SyscallError("open", ERRNO["EISDIR"]!, displayPath(path));
  const dirfd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    return new RenamedFile(dirfd, name, createTemporaryFile(dirfd, 0o666));
  } catch (error) {
    close(dirfd);
    throw error;
  }
}

class RenamedFile implements AtomicFile {
  readonly #dirfd: Fd;
  readonly #name: BytePath;
  readonly #file: TemporaryFile;
  readonly #behind: Promise<void>[] = [];
  #size = 0;
  #open = true;

  constructor(dirfd: Fd, name: BytePath, file: TemporaryFile) {
    this.#dirfd = dirfd;
    this.#name = name;
    this.#file = file;
  }

  write(chunk: Uint8Array): void {
    pwriteFully(this.#file.fd, chunk, this.#size);
    this.#size += chunk.length;
  }

  writeBehind(chunk: Uint8Array): void {
    this.#behind.push(writeInThread(this.#file.fd, chunk, this.#size));
    this.#size += chunk.length;
  }

  async settle(): Promise<void> {
    // All of them, also after a failure: the descriptor may be closed only when no thread uses it.
    const done = await Promise.allSettled(this.#behind);
    for (const one of done) if (one.status === "rejected") throw one.reason;
  }

  commit(): void {
    try {
      fsync(this.#file.fd);
      nameTemporaryFile(this.#file, this.#dirfd, this.#dirfd, this.#name, { replace: true });
    } catch (error) {
      this.discard();
      throw error;
    }
    this.#open = false;
    close(this.#file.fd);
    try {
      fsync(this.#dirfd);
    } finally {
      close(this.#dirfd);
    }
  }

  discard(): void {
    if (!this.#open) return;
    this.#open = false;
    discardTemporaryFile(this.#file, this.#dirfd);
    close(this.#dirfd);
  }
}

/** A device or a pipe: no second name, nothing to sync. */
class DirectFile implements AtomicFile {
  readonly #fd: Fd;
  #open = true;

  constructor(fd: Fd) {
    this.#fd = fd;
  }

  write(chunk: Uint8Array): void {
    writeFully(this.#fd, chunk);
  }

  writeBehind(chunk: Uint8Array): void {
    // A pipe has no offsets, and writes of several threads would have no order.
    this.write(chunk);
  }

  async settle(): Promise<void> {}

  commit(): void {
    this.discard();
  }

  discard(): void {
    if (this.#open) close(this.#fd);
    this.#open = false;
  }
}

/** Writes all of `data` at `offset` in one of Node's threads. */
function writeInThread(fd: Fd, data: Uint8Array, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const writeFrom = (done: number): void => {
      write(fd, data, done, data.length - done, offset + done, (error, count) => {
        if (error !== null) reject(new SyscallError("write", -(error.errno ?? 0)));
        else if (done + count < data.length) writeFrom(done + count);
        else resolve();
      });
    };
    writeFrom(0);
  });
}

function followSymlinks(path: BytePath): BytePath {
  let target = path;
  for (let hops = 0; hops < SYMLINK_LIMIT; hops++) {
    const stat = lstatatIfExists(AT_FDCWD, target);
    if (stat === undefined || (stat.mode & S_IFMT) !== S_IFLNK) return target;
    const link = readlinkat(AT_FDCWD, target);
    const directory = target.slice(0, target.lastIndexOf("/") + 1);
    target = link.startsWith("/") ? link : directory + link;
  }
  throw new SyscallError("open", ERRNO["ELOOP"]!, displayPath(path));
}
