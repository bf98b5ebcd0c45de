/**
 * System calls on names: what makes, reads, changes and removes the entries of directories. No policy.
 *
 * Names are byte paths, taken from the directory of a descriptor. A failed call throws
 * {@link SyscallError}.
 */

import { displayPath, kernelPath } from "./byte-path.ts";
import type { BytePath } from "./byte-path.ts";
import { ERRNO, SyscallError } from "./errors.ts";
import { AT_FDCWD } from "./file.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";

const AT_EACCESS = 0x200;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_EMPTY_PATH = 0x1000;
const RENAME_NOREPLACE = 1;
const W_OK = 2;

const ENOENT = ERRNO["ENOENT"]!;

const libc = {
  readlinkat: bindLibc(
    "int64_t readlinkat(int dirfd, const void *path, void *buffer, size_t size)",
  ),
  mkdirat: bindLibc("int mkdirat(int dirfd, const void *path, uint32_t mode)"),
  unlinkat: bindLibc("int unlinkat(int dirfd, const void *path, int flags)"),
  renameat2: bindLibc(
    "int renameat2(int olddir, const void *old, int newdir, const void *new, uint32_t flags)",
  ),
  linkat: bindLibc(
    "int linkat(int olddir, const void *old, int newdir, const void *new, int flags)",
  ),
  symlinkat: bindLibc("int symlinkat(const void *target, int dirfd, const void *path)"),
  faccessat: bindLibc("int faccessat(int dirfd, const void *path, int mode, int flags)"),
};

const NO_PATH = new Uint8Array(1);

const linkBuffer = Buffer.alloc(4096);

/** The target of a symlink: bytes, at most 4095 of them. */
export function readlinkat(dirfd: Fd, path: BytePath): BytePath {
  const name = kernelPath("readlink", path);
  const length: number = libc.readlinkat(dirfd, name, linkBuffer, linkBuffer.length);
  if (length < 0) throw new SyscallError("readlink", lastErrno(), displayPath(path));
  return linkBuffer.toString("latin1", 0, length);
}

/** Makes a symlink at `path`; `target` is stored as it is. EEXIST if the name is taken. */
export function symlinkat(target: BytePath, dirfd: Fd, path: BytePath): void {
  const content = kernelPath("symlink", target);
  check("symlink", libc.symlinkat(content, dirfd, kernelPath("symlink", path, 1)), path);
}

/**
 * Throws unless this process may write: EACCES for what the permissions say, EROFS for a file system or
 * mount that is read-only, root's too.
 */
export function assertWritable(dirfd: Fd, path: BytePath): void {
  check("write to", libc.faccessat(dirfd, kernelPath("write to", path), W_OK, AT_EACCESS), path);
}

/** Makes a directory; `mode` is cut by the umask. */
export function mkdirat(dirfd: Fd, path: BytePath, mode: number): void {
  check("mkdir", libc.mkdirat(dirfd, kernelPath("mkdir", path), mode), path);
}

/** As {@link mkdirat}; returns false if there is something of this name, a directory or not. */
export function mkdiratIfMissing(dirfd: Fd, path: BytePath, mode: number): boolean {
  return !refused("mkdir", libc.mkdirat(dirfd, kernelPath("mkdir", path), mode), path, ["EEXIST"]);
}

/** Removes a name that is not a directory's. */
export function unlinkat(dirfd: Fd, path: BytePath): void {
  check("unlink", libc.unlinkat(dirfd, kernelPath("unlink", path), 0), path);
}

/** As {@link unlinkat}; returns false if there is no such name. */
export function unlinkatIfExists(dirfd: Fd, path: BytePath): boolean {
  return !refused("unlink", libc.unlinkat(dirfd, kernelPath("unlink", path), 0), path, ["ENOENT"]);
}

/** Removes an empty directory. */
export function rmdirat(dirfd: Fd, path: BytePath): void {
  check("rmdir", libc.unlinkat(dirfd, kernelPath("rmdir", path), AT_REMOVEDIR), path);
}

/** As {@link rmdirat}; returns false if the directory is not there, or not empty. */
export function rmdiratIfEmpty(dirfd: Fd, path: BytePath): boolean {
  const result: number = libc.unlinkat(dirfd, kernelPath("rmdir", path), AT_REMOVEDIR);
  return !refused("rmdir", result, path, ["ENOENT", "ENOTEMPTY", "EEXIST"]);
}

/**
 * Renames. An existing target is replaced, or, with `noReplace`, is the error EEXIST (and EINVAL on a
 * file system that cannot promise it).
 */
export function renameat(
  fromDir: Fd,
  from: BytePath,
  toDir: Fd,
  to: BytePath,
  options: { readonly noReplace?: boolean } = {},
): void {
  const flags = options.noReplace === true ? RENAME_NOREPLACE : 0;
  const result: number = libc.renameat2(
    fromDir,
    kernelPath("rename", from),
    toDir,
    kernelPath("rename", to, 1),
    flags,
  );
  check("rename", result, to);
}

/** Gives a file one more name; EEXIST if the name is taken. */
export function linkat(fromDir: Fd, from: BytePath, toDir: Fd, to: BytePath): void {
  const source = kernelPath("link", from);
  check("link", libc.linkat(fromDir, source, toDir, kernelPath("link", to, 1), 0), to);
}

/** Kernels before 6.10 ask for a capability here. */
let mayLinkByFd = true;

/** Gives an open file without a name (`O_TMPFILE`) one; EEXIST if the name is taken. */
export function linkFd(fd: Fd, toDir: Fd, to: BytePath): void {
  const name = kernelPath("link", to, 1);
  if (mayLinkByFd) {
    if (libc.linkat(fd, NO_PATH, toDir, name, AT_EMPTY_PATH) === 0) return;
    const errno = lastErrno();
    if (errno !== ENOENT) throw new SyscallError("link", errno, displayPath(to));
  }
  // By way of /proc it always works, and takes 4 µs longer.
  const source = kernelPath("link", `/proc/self/fd/${fd}`);
  check("link", libc.linkat(AT_FDCWD, source, toDir, name, AT_SYMLINK_FOLLOW), to);
  mayLinkByFd = false;
}

function check(syscall: string, result: number, path: BytePath): void {
  if (result !== 0) throw new SyscallError(syscall, lastErrno(), displayPath(path));
}

/** Whether a call failed for one of these reasons; any other is thrown. */
function refused(
  syscall: string,
  result: number,
  path: BytePath,
  reasons: readonly string[],
): boolean {
  if (result === 0) return false;
  const errno = lastErrno();
  if (reasons.some((name) => ERRNO[name] === errno)) return true;
  throw new SyscallError(syscall, errno, displayPath(path));
}
