/**
 * A file as a source of bytes for a reader that asks for many small ranges.
 *
 * Pages of the file are kept in a cache of fixed size, so that a reader costs a system call a page and
 * not a field, and memory does not grow with the file.
 */

import type { BytePath } from "./byte-path.ts";
import { displayPath } from "./byte-path.ts";
import { ERRNO, SyscallError } from "./errors.ts";
import { AT_FDCWD, O_RDONLY, close, fstat, openat, preadFully } from "./file.ts";
import type { Fd } from "./file.ts";

const PAGE_SIZE = 32768;
/** 2 MiB in all. */
const PAGES = 64;

/** Bytes of an open file. */
export interface FileSource {
  /** Bytes, as they were when the file was opened. */
  readonly size: number;
  /** The descriptor, for what else is to be asked about the file; closed by `close`. */
  readonly fd: Fd;
  /**
   * Returns exactly `length` bytes from `offset`. The caller has checked that the range lies inside
   * `size`. The view is valid until the next call. Throws if the file has become shorter.
   */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** Opens a regular file for reading. */
export function openFileSource(path: BytePath): FileSource {
  const fd = openat(AT_FDCWD, path, O_RDONLY);
  try {
    const mode = fstat(fd).mode & 0o170000;
    if (mode === 0o040000) throw new SyscallError("read", ERRNO["EISDIR"]!, displayPath(path));
    return new CachedFile(fd, fstat(fd).size, displayPath(path));
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * A regular file that is open already; `subject` names it in errors. The source owns the descriptor.
 */
export function fileSourceOf(fd: Fd, subject: string): FileSource {
  return new CachedFile(fd, fstat(fd).size, subject);
}

class CachedFile implements FileSource {
  readonly fd: Fd;
  readonly size: number;
  readonly #subject: string;
  /** Page `n` of the file can only be in slot `n % PAGES`. */
  readonly #pages: (Uint8Array | undefined)[] = [];
  readonly #pageNumbers: number[] = Array.from({ length: PAGES }, () => -1);

  constructor(fd: Fd, size: number, subject: string) {
    this.fd = fd;
    this.size = size;
    this.#subject = subject;
  }

  read(offset: number, length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(offset / PAGE_SIZE);
    const last = Math.floor((offset + length - 1) / PAGE_SIZE);
    if (first === last) {
      const at = offset - first * PAGE_SIZE;
      return this.#page(first).subarray(at, at + length);
    }
    const bytes = new Uint8Array(length);
    if (length > PAGE_SIZE) {
      this.#fill(bytes, offset);
      return bytes;
    }
    const start = last * PAGE_SIZE - offset;
    bytes.set(this.#page(first).subarray(PAGE_SIZE - start), 0);
    bytes.set(this.#page(last).subarray(0, length - start), start);
    return bytes;
  }

  close(): void {
    close(this.fd);
  }

  #page(number: number): Uint8Array {
    const slot = number % PAGES;
    const cached = this.#pages[slot];
    if (cached !== undefined && this.#pageNumbers[slot] === number) return cached;
    const page = cached ?? new Uint8Array(PAGE_SIZE);
    const start = number * PAGE_SIZE;
    // Forgotten first: a failing read must not leave half a page under its number.
    this.#pageNumbers[slot] = -1;
    this.#pages[slot] = page;
    this.#fill(page.subarray(0, Math.min(PAGE_SIZE, this.size - start)), start);
    this.#pageNumbers[slot] = number;
    return page;
  }

  #fill(into: Uint8Array, offset: number): void {
    if (preadFully(this.fd, into, offset) === into.length) return;
    throw new SyscallError("read", ERRNO["ENODATA"]!, this.#subject, "the file became shorter");
  }
}
