/**
 * Extended attributes with binary values, of an open file or of a name, never of a symlink's target.
 *
 * A name is reached as `/proc/self/fd/<directory>/<name>` with the calls that do not follow it, so
 * that no path is walked twice. Source: xattr(7); limits in include/uapi/linux/limits.h.
 */

import { displayPath, kernelPath } from "./byte-path.ts";
import type { BytePath } from "./byte-path.ts";
import { ERRNO, SyscallError } from "./errors.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";

/** XATTR_LIST_MAX and XATTR_SIZE_MAX: neither a list nor a value is longer, so one read gets all. */
const XATTR_MAX = 65536;

const libc = {
  flistxattr: bindLibc("int64_t flistxattr(int fd, void *list, size_t size)"),
  fgetxattr: bindLibc("int64_t fgetxattr(int fd, const void *name, void *value, size_t size)"),
  llistxattr: bindLibc("int64_t llistxattr(const void *path, void *list, size_t size)"),
  lgetxattr: bindLibc(
    "int64_t lgetxattr(const void *path, const void *name, void *value, size_t size)",
  ),
};

const buffer = Buffer.alloc(XATTR_MAX);
const ENOTSUP = ERRNO["ENOTSUP"]!;
const NONE: BytePath[] = [];

/** The names of an open file's xattrs (not of an `O_PATH` descriptor), in the kernel's order. */
export function listXattrs(fd: Fd): readonly BytePath[] {
  return decodeNames(libc.flistxattr(fd, buffer, XATTR_MAX), "");
}

/** The value of an open file's xattr, in a buffer of its own. ENODATA if there is none of that name. */
export function getXattr(fd: Fd, name: BytePath): Uint8Array {
  return copyValue(libc.fgetxattr(fd, kernelPath("getxattr", name, 1), buffer, XATTR_MAX), name);
}

/** As {@link listXattrs}, for a name in a directory; a symlink's own xattrs, not its target's. */
export function listXattrsAt(dirfd: Fd, path: BytePath): readonly BytePath[] {
  const full = kernelPath("listxattr", procPath(dirfd, path));
  return decodeNames(libc.llistxattr(full, buffer, XATTR_MAX), path);
}

/** As {@link getXattr}, for a name in a directory; of a symlink itself, not of its target. */
export function getXattrAt(dirfd: Fd, path: BytePath, name: BytePath): Uint8Array {
  const full = kernelPath("getxattr", procPath(dirfd, path));
  return copyValue(libc.lgetxattr(full, kernelPath("getxattr", name, 1), buffer, XATTR_MAX), name);
}

function procPath(dirfd: Fd, path: BytePath): BytePath {
  return dirfd < 0 || path.startsWith("/") ? path : `/proc/self/fd/${dirfd}/${path}`;
}

function decodeNames(length: number, path: BytePath): readonly BytePath[] {
  if (length < 0) {
    const errno = lastErrno();
    // A file system without xattrs has none: that is an answer.
    if (errno === ENOTSUP) return NONE;
    throw new SyscallError("listxattr", errno, displayPath(path));
  }
  if (length === 0) return NONE;
  return buffer.toString("latin1", 0, length - 1).split("\0");
}

function copyValue(length: number, name: BytePath): Uint8Array {
  if (length < 0) throw new SyscallError("getxattr", lastErrno(), displayPath(name));
  return new Uint8Array(buffer.subarray(0, length));
}
