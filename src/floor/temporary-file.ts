/**
 * A file that is being made: complete before it has its name, gone if its maker fails.
 *
 * Where the file system can, the file has no name at all (`O_TMPFILE`), and nothing is left of it
 * even after a kill; else it has a name `.tmp…` in the directory given.
 */

import { randomBytes } from "node:crypto";

import type { BytePath } from "./byte-path.ts";
import { isErrno } from "./errors.ts";
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TMPFILE, close, fsync, openat } from "./file.ts";
import type { Fd } from "./file.ts";
import { linkFd, linkat, renameat, symlinkat, unlinkat, unlinkatIfExists } from "./names.ts";

/** A file without its final name. */
export interface TemporaryFile {
  /** Open for reading and writing. */
  readonly fd: Fd;
  /** Its name in the directory it was made in; `undefined` if it has none. */
  readonly name: BytePath | undefined;
}

/** Makes an empty file on the file system of `dirfd`; `mode` is cut by the umask. */
export function createTemporaryFile(dirfd: Fd, mode: number): TemporaryFile {
  try {
    return { fd: openat(dirfd, ".", O_TMPFILE | O_RDWR, mode), name: undefined };
  } catch (error) {
    // EISDIR and EINVAL come from kernels and file systems that do not know the flag.
    if (!isErrno(error, "EOPNOTSUPP", "ENOTSUP", "EISDIR", "EINVAL")) throw error;
  }
  for (;;) {
    const name = temporaryName();
    try {
      return { fd: openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR, mode), name };
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
  }
}

/**
 * Gives a file that may have names elsewhere a temporary one in `dirfd`, so that it can be handled as if it
 * had been made there; `undefined` where a second name is not possible: another file system, a file of
 * somebody else. The descriptor is a new one.
 */
export function linkTemporaryFile(fd: Fd, dirfd: Fd): TemporaryFile | undefined {
  for (;;) {
    const name = temporaryName();
    try {
      linkFd(fd, dirfd, name);
    } catch (error) {
      if (isErrno(error, "EEXIST")) continue;
      if (isErrno(error, "EXDEV", "EPERM", "EACCES", "EMLINK", "ENOENT")) return undefined;
      throw error;
    }
    return { fd: openat(dirfd, name, O_RDONLY), name };
  }
}

/**
 * Makes a symlink, or puts it over the file or symlink that is there, at once. The temporary name, if one
 * is needed, is in `dirfd`.
 */
export function replaceSymlink(target: BytePath, dirfd: Fd, path: BytePath): void {
  try {
    symlinkat(target, dirfd, path);
    return;
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
  const name = temporaryName();
  symlinkat(target, dirfd, name);
  try {
    renameat(dirfd, name, dirfd, path);
  } catch (error) {
    unlinkat(dirfd, name);
    throw error;
  }
}

/**
 * Gives the file its final name: `replace` puts it over what is there, and syncs its content before
 * that; else a name that is taken is the error EEXIST. The descriptor stays open.
 */
export function nameTemporaryFile(
  file: TemporaryFile,
  dirfd: Fd,
  toDir: Fd,
  to: BytePath,
  options: { readonly replace: boolean },
): void {
  if (file.name !== undefined) {
    renameTemporary(dirfd, file.name, toDir, to, options.replace);
    return;
  }
  if (!options.replace) {
    linkFd(file.fd, toDir, to);
    return;
  }
  // linkat(2) cannot replace, so the complete file gets a name for an instant.
  const name = temporaryName();
  linkFd(file.fd, dirfd, name);
  try {
    // btrfs makes nothing durable of a file without a name, whatever fsync(2) returned before: without
    // this one, a power cut after the directory is synced leaves the name with no content.
    fsync(file.fd);
    renameat(dirfd, name, toDir, to);
  } catch (error) {
    unlinkat(dirfd, name);
    throw error;
  }
}

/** Closes the file and removes its temporary name, if it still has one. */
export function discardTemporaryFile(file: TemporaryFile, dirfd: Fd): void {
  close(file.fd);
  if (file.name !== undefined) unlinkatIfExists(dirfd, file.name);
}

function renameTemporary(
  fromDir: Fd,
  from: BytePath,
  toDir: Fd,
  to: BytePath,
  replace: boolean,
): void {
  try {
    renameat(fromDir, from, toDir, to, { noReplace: !replace });
  } catch (error) {
    // Not every file system can rename without replacing; a second name is as good.
    if (replace || !isErrno(error, "EINVAL", "ENOSYS")) throw error;
    linkat(fromDir, from, toDir, to);
    unlinkat(fromDir, from);
  }
}

function temporaryName(): BytePath {
  return `.tmp${randomBytes(6).toString("hex")}`;
}
