/**
 * System calls that open files and directories, and those on what is open. No policy.
 *
 * Synchronous: each returns in microseconds unless the disk is slow; what may block for long belongs
 * in a worker thread. A failed call throws {@link SyscallError}. Interrupted calls are repeated.
 */

import { constants as fsConstants } from "node:fs";

import { displayPath, kernelPath } from "./byte-path.ts";
import type { BytePath } from "./byte-path.ts";
import { ERRNO, SyscallError } from "./errors.ts";
import { FileStat, STATX_BASIC_STATS } from "./file-stat.ts";
import { bindLibc, lastErrno } from "./native.ts";

/** A file descriptor; valid in all threads of the process. */
export type Fd = number;

/** "The current directory" where a directory's descriptor is asked for. */
export const AT_FDCWD: Fd = -100;

/** Flags of open(2) that Node does not name; the same on every architecture we run on. */
const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20000000 | fsConstants.O_DIRECTORY;
export const {
  O_RDONLY,
  O_WRONLY,
  O_RDWR,
  O_CREAT,
  O_EXCL,
  O_TRUNC,
  O_NOFOLLOW,
  O_DIRECTORY,
  O_NONBLOCK,
  O_NOCTTY,
} = fsConstants;

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;

const EINTR = ERRNO["EINTR"]!;
const ENOENT = ERRNO["ENOENT"]!;

const libc = {
  openat: bindLibc("int openat(int dirfd, const void *path, int flags, uint32_t mode)"),
  close: bindLibc("int close(int fd)"),
  statx: bindLibc("int statx(int dirfd, const void *path, int flags, uint32_t mask, void *buffer)"),
  pread: bindLibc("int64_t pread(int fd, void *buffer, size_t count, int64_t offset)"),
  pwrite: bindLibc("int64_t pwrite(int fd, const void *buffer, size_t count, int64_t offset)"),
  read: bindLibc("int64_t read(int fd, void *buffer, size_t count)"),
  write: bindLibc("int64_t write(int fd, const void *buffer, size_t count)"),
  fsync: bindLibc("int fsync(int fd)"),
  syncfs: bindLibc("int syncfs(int fd)"),
  fchmod: bindLibc("int fchmod(int fd, uint32_t mode)"),
  ftruncate: bindLibc("int ftruncate(int fd, int64_t length)"),
};

const NO_PATH = new Uint8Array(1);

/** Opens a file; the descriptor is close-on-exec. `mode` is for `O_CREAT` and `O_TMPFILE`. */
export function openat(dirfd: Fd, path: BytePath, flags: number, mode = 0): Fd {
  for (;;) {
    const fd: number = libc.openat(dirfd, kernelPath("open", path), flags | O_CLOEXEC, mode);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    if (errno !== EINTR) throw new SyscallError("open", errno, displayPath(path));
  }
}

/** Closes a descriptor. Never fails: what close(2) could still report, fsync(2) has reported before. */
export function close(fd: Fd): void {
  libc.close(fd);
}

/** Describes an open file. `into` is filled and returned where given. */
export function fstat(fd: Fd, into = new FileStat()): FileStat {
  if (libc.statx(fd, NO_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, into.bytes) !== 0) {
    throw new SyscallError("stat", lastErrno());
  }
  return into;
}

/** Describes what a name stands for, not following a symlink. `into` as in {@link fstat}. */
export function lstatat(dirfd: Fd, path: BytePath, into = new FileStat()): FileStat {
  const stat = lstatatIfExists(dirfd, path, into);
  if (stat === undefined) throw new SyscallError("stat", ENOENT, displayPath(path));
  return stat;
}

/** As {@link lstatat}; `undefined` if there is no such name, which costs no exception. */
export function lstatatIfExists(
  dirfd: Fd,
  path: BytePath,
  into = new FileStat(),
): FileStat | undefined {
  const name = kernelPath("stat", path);
  if (libc.statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, into.bytes) === 0)
    return into;
  const errno = lastErrno();
  if (errno === ENOENT) return undefined;
  throw new SyscallError("stat", errno, displayPath(path));
}

/** Reads at most `into.length` bytes from `offset`; returns how many, 0 at the end. */
export function pread(fd: Fd, into: Uint8Array, offset: number): number {
  for (;;) {
    const count: number = libc.pread(fd, into, into.length, offset);
    if (count >= 0) return count;
    const errno = lastErrno();
    if (errno !== EINTR) throw new SyscallError("read", errno);
  }
}

/** Reads until `into` is full or the file ends; returns how many bytes there were. */
export function preadFully(fd: Fd, into: Uint8Array, offset: number): number {
  let done = 0;
  while (done < into.length) {
    const count = pread(fd, done === 0 ? into : into.subarray(done), offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Reads at most `into.length` bytes where the descriptor stands (a pipe, say); 0 at the end. */
export function read(fd: Fd, into: Uint8Array): number {
  for (;;) {
    const count: number = libc.read(fd, into, into.length);
    if (count >= 0) return count;
    const errno = lastErrno();
    if (errno !== EINTR) throw new SyscallError("read", errno);
  }
}

/** Writes all of `data` at `offset`. */
export function pwriteFully(fd: Fd, data: Uint8Array, offset: number): void {
  writeLoop(data, (part, done) => libc.pwrite(fd, part, part.length, offset + done));
}

/** Writes all of `data` where the descriptor stands (a pipe, say). */
export function writeFully(fd: Fd, data: Uint8Array): void {
  writeLoop(data, (part) => libc.write(fd, part, part.length));
}

function writeLoop(data: Uint8Array, call: (part: Uint8Array, done: number) => number): void {
  let done = 0;
  while (done < data.length) {
    const count = call(done === 0 ? data : data.subarray(done), done);
    if (count >= 0) {
      done += count;
      continue;
    }
    const errno = lastErrno();
    if (errno !== EINTR) throw new SyscallError("write", errno);
  }
}

/** Waits until content and metadata of a file, or the entries of a directory, are on the disk. */
export function fsync(fd: Fd): void {
  check("fsync", libc.fsync(fd));
}

/** Waits until everything on the file system that holds `fd` is on the disk. */
export function syncfs(fd: Fd): void {
  check("syncfs", libc.syncfs(fd));
}

/** As {@link syncfs}, while this thread goes on. */
export function syncfsInBackground(fd: Fd): Promise<void> {
  return new Promise((resolve, reject) => {
    libc.syncfs.async(fd, (_: unknown, result: number) => {
      if (result === 0) resolve();
      else reject(new SyscallError("syncfs", lastErrno()));
    });
  });
}

/** Sets permission bits, whatever the umask. */
export function fchmod(fd: Fd, mode: number): void {
  check("chmod", libc.fchmod(fd, mode));
}

/** Cuts or extends a file to `length` bytes. */
export function ftruncate(fd: Fd, length: number): void {
  check("truncate", libc.ftruncate(fd, length));
}

function check(syscall: string, result: number): void {
  if (result !== 0) throw new SyscallError(syscall, lastErrno());
}
