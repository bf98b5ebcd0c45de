/**
 * The symlinks of a repository: entries that point to objects, refs that point to entries. All are
 * relative, so that the repository can be moved, and are replaced at once.
 */

import type { ByteString } from "../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../core/fsverity/digest.ts";
import { objectPath } from "../core/fsverity/digest.ts";
import {
  O_DIRECTORY,
  O_RDONLY,
  close,
  fsync,
  isErrno,
  mkdirat,
  openat,
  readlinkat,
  replaceSymlink,
  rmdiratIfEmpty,
  unlinkatIfExists,
} from "../floor/mod.ts";
import type { Fd } from "../floor/mod.ts";
import { REFS } from "./names.ts";
import type { RefKind } from "./names.ts";

const DIRECTORY_MODE = 0o755;
/** How often a directory may vanish between making it and using it, because others remove empty ones. */
const RETRIES = 100;

/** A ref: its name, and the entry that it points to (its name, or the digest of an image). */
export interface Ref {
  readonly name: ByteString;
  readonly target: ByteString;
}

/** What the symlink of an entry says: `../objects/XX/<rest>`. */
export function linkToObject(digest: FsVerityDigest): ByteString {
  return `../objects/${objectPath(digest)}` as ByteString;
}

/** What the symlink of a ref says: as many `../` as its name has parts, then the entry. */
export function linkToEntry({ name, target }: Ref): ByteString {
  return `${"../".repeat(name.split("/").length)}${target}` as ByteString;
}

/** Makes a symlink below the repository, and the directories that it lies in, or replaces one. */
export function setLink(dirfd: Fd, path: ByteString, link: ByteString): void {
  if (readLink(dirfd, path) === link) return;
  for (let tries = 1; ; tries++) {
    try {
      replaceSymlink(link, dirfd, path);
      return;
    } catch (error) {
      if (!isErrno(error, "ENOENT") || tries === RETRIES) throw error;
    }
    makeParents(dirfd, path);
  }
}

/** What a symlink says; `undefined` if there is none of that name. */
export function readLink(dirfd: Fd, path: ByteString): ByteString | undefined {
  try {
    return readlinkat(dirfd, path) as ByteString;
  } catch (error) {
    if (isErrno(error, "ENOENT", "EINVAL", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** What the symlink of a ref points to; `undefined` if there is none, or it is none. */
export function readRefLink(dirfd: Fd, kind: RefKind, name: ByteString): ByteString | undefined {
  const link = readLink(dirfd, refPath(kind, name));
  return link === undefined ? undefined : targetOf(link);
}

/** Removes a symlink durably, and the directories below `refs` that are empty then; false if there is none. */
export function removeRefLink(dirfd: Fd, kind: RefKind, name: ByteString): boolean {
  const path = refPath(kind, name);
  if (readLink(dirfd, path) === undefined) return false;
  const parent = openat(dirfd, parentOf(path), O_RDONLY | O_DIRECTORY);
  try {
    if (!unlinkatIfExists(dirfd, path)) return false;
    fsync(parent);
  } finally {
    close(parent);
  }
  removeEmptyParents(dirfd, path, refPath(kind, "" as ByteString).length);
  return true;
}

/** Where a ref lies below the repository. */
export function refPath(kind: RefKind, name: ByteString): ByteString {
  return `${kind}/${REFS}/${name}` as ByteString;
}

function targetOf(link: ByteString): ByteString {
  return link.replace(/^(?:\.\.\/)+/, "") as ByteString;
}

function makeParents(dirfd: Fd, path: ByteString): void {
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    try {
      mkdirat(dirfd, path.slice(0, slash), DIRECTORY_MODE);
    } catch (error) {
      if (!isErrno(error, "EEXIST", "ENOENT")) throw error;
    }
  }
}

function removeEmptyParents(dirfd: Fd, path: ByteString, keep: number): void {
  for (let at = parentOf(path); at.length >= keep; at = parentOf(at)) {
    if (!rmdiratIfEmpty(dirfd, at)) return;
  }
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf("/")) as ByteString;
}
