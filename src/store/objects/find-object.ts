/** Looking for an object by its name. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { fsVerityDigestFrom, objectPath } from "../../core/fsverity/digest.ts";
import { FILE_TYPE, S_IFMT } from "../../core/tree/node.ts";
import {
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  close,
  fstat,
  isErrno,
  lstatatIfExists,
  measureVerity,
  openat,
} from "../../floor/mod.ts";
import type { Fd, FileStat } from "../../floor/mod.ts";
import { ObjectFailure } from "./object-failure.ts";
import type { Verity } from "./staged-object.ts";

/**
 * Whether the store has an object of this name. Its content is trusted, since no partial object ever
 * gets a name; what cannot be an object of this digest is an error.
 */
export function hasObject(
  dirfd: Fd,
  digest: FsVerityDigest,
  size: number,
  into?: FileStat,
): boolean {
  const path = objectPath(digest);
  const stat = lstatatIfExists(dirfd, path, into);
  if (stat === undefined) return false;
  if ((stat.mode & S_IFMT) !== FILE_TYPE.file) {
    throw new ObjectFailure(`object ${path} is not a regular file`);
  }
  if (stat.size !== size) {
    throw new ObjectFailure(
      `object ${path} is corrupt: it has ${stat.size} bytes instead of ${size}`,
      { hint: "remove it, and the next run will write it anew" },
    );
  }
  return true;
}

/** What lies under the name of an object, as far as a glance tells. */
export type ObjectState = "missing" | "present" | "damaged";

/**
 * Looks at an object without reading it: `damaged` is what cannot have this digest by its type or size,
 * or, with verity `required`, what the kernel does not vouch for.
 */
export function glanceAtObject(
  dirfd: Fd,
  digest: FsVerityDigest,
  size: number,
  verity: Verity,
  into?: FileStat,
): ObjectState {
  const path = objectPath(digest);
  if (verity === "missing-allowed") {
    const stat = lstatatIfExists(dirfd, path, into);
    if (stat === undefined) return "missing";
    return (stat.mode & S_IFMT) === FILE_TYPE.file && stat.size === size ? "present" : "damaged";
  }
  let fd: Fd;
  try {
    fd = openObjectFile(dirfd, digest);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "missing";
    if (isErrno(error, "ELOOP", "ENXIO")) return "damaged";
    throw error;
  }
  try {
    const stat = fstat(fd, into);
    const isWhole = (stat.mode & S_IFMT) === FILE_TYPE.file && stat.size === size;
    return isWhole && measuredDigest(fd) === digest ? "present" : "damaged";
  } finally {
    close(fd);
  }
}

/** Opens what lies under the name of an object; no symlink, and no waiting for a pipe's writer. */
export function openObjectFile(dirfd: Fd, digest: FsVerityDigest): Fd {
  return openat(dirfd, objectPath(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

/** The digest that the kernel enforces for an open file, if it does. */
export function measuredDigest(fd: Fd): FsVerityDigest | undefined {
  const measured = measureVerity(fd);
  return measured === undefined ? undefined : fsVerityDigestFrom(measured.digest);
}
