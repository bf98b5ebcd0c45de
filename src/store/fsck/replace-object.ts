/**
 * Puts good content in the place of a damaged or missing object: copied, hashed, and, with verity
 * required, taken under the kernel's care before it gets the name.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  cloneFile,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  fchmod,
  fsync,
  mkdiratIfMissing,
  nameTemporaryFile,
  openat,
  preadFully,
  pwriteFully,
  syncfs,
} from "../../floor/mod.ts";
import type { Fd, TemporaryFile } from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";
import { enableVerityWhenFree } from "../objects/enable-verity.ts";
import { measuredDigest } from "../objects/find-object.ts";
import { ObjectChecker } from "../survey/check-object.ts";

const OBJECT_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const PIECE = 1 << 20;

/** Where the content comes from: an open file, or memory. */
export type GoodContent = Fd | Uint8Array;

/** Replaces an object; returns false if the content is not the right one, and then changes nothing. */
export function replaceObject(
  repository: Repository,
  digest: FsVerityDigest,
  content: GoodContent,
): boolean {
  const { dirfd } = repository.objects;
  const file = createTemporaryFile(dirfd, OBJECT_MODE);
  let named: TemporaryFile | undefined = file;
  try {
    fill(file.fd, content);
    fchmod(file.fd, OBJECT_MODE);
    if (new ObjectChecker(repository).hash(file.fd) !== digest) return false;
    fsync(file.fd);
    if (repository.verity === "required") {
      named = undefined;
      return nameWithVerity(repository, digest, file);
    }
    withObjectDirectory(dirfd, digest, (directory, name) =>
      nameTemporaryFile(file, dirfd, directory, name, { replace: true }),
    );
    named = undefined;
    close(file.fd);
    return true;
  } finally {
    if (named !== undefined) discardTemporaryFile(named, dirfd);
  }
}

/** fs-verity wants that nobody has the file open for writing, and then nobody ever has again. */
function nameWithVerity(
  repository: Repository,
  digest: FsVerityDigest,
  file: TemporaryFile,
): boolean {
  const { dirfd } = repository.objects;
  const path = file.name ?? `/proc/self/fd/${file.fd}`;
  let fd: Fd;
  try {
    fd = openat(dirfd, path, O_RDONLY);
  } finally {
    close(file.fd);
  }
  const reading: TemporaryFile = { fd, name: file.name };
  let isNamed = false;
  try {
    enableVerityWhenFree(fd, repository.algorithm);
    if (measuredDigest(fd) !== digest) return false;
    withObjectDirectory(dirfd, digest, (directory, name) =>
      nameTemporaryFile(reading, dirfd, directory, name, { replace: true }),
    );
    // btrfs: what fsync(2) writes of a file that has just got fs-verity may lack the descriptor.
    syncfs(fd);
    isNamed = true;
    return true;
  } finally {
    if (isNamed) close(fd);
    else discardTemporaryFile(reading, dirfd);
  }
}

function withObjectDirectory(
  dirfd: Fd,
  digest: FsVerityDigest,
  work: (directory: Fd, name: string) => void,
): void {
  const prefix = digest.slice(0, 2);
  mkdiratIfMissing(dirfd, prefix, DIRECTORY_MODE);
  const directory = openat(dirfd, prefix, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    work(directory, digest.slice(2));
    fsync(directory);
  } finally {
    close(directory);
  }
}

function fill(to: Fd, content: GoodContent): void {
  if (typeof content !== "number") {
    pwriteFully(to, content, 0);
    return;
  }
  if (cloneFile(content, to)) return;
  const buffer = new Uint8Array(PIECE);
  for (let at = 0; ;) {
    const count = preadFully(content, buffer, at);
    pwriteFully(to, buffer.subarray(0, count), at);
    at += count;
    if (count < buffer.length) return;
  }
}
