/**
 * The file `meta.json` in the directory of a repository. That it has fs-verity is how a repository says
 * that all of its objects must have it.
 */

import {
  AT_FDCWD,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  fchmod,
  fstat,
  fsync,
  isErrno,
  measureVerity,
  nameTemporaryFile,
  openat,
  preadFully,
  pwriteFully,
  syncfs,
} from "../floor/mod.ts";
import type { Fd } from "../floor/mod.ts";
import { ComposefsError } from "../core/errors.ts";
import { META_JSON, formatMetadata, parseMetadata } from "./metadata.ts";
import type { RepositoryMetadata } from "./metadata.ts";
import { enableVerityWhenFree } from "./objects/enable-verity.ts";
import type { Verity } from "./objects/staged-object.ts";

const META_MODE = 0o644;
/** One byte more than is allowed tells that there are too many. */
const READ_MAX = (1 << 20) + 1;

/** The metadata, and the mode that the file puts the repository into. */
export interface MetaFile {
  readonly metadata: RepositoryMetadata;
  readonly verity: Verity;
}

/** Reads the file of an open repository; `undefined` if there is none. Throws `repository-invalid`. */
export function readMetaFile(dirfd: Fd): MetaFile | undefined {
  let fd: Fd;
  try {
    fd = openat(dirfd, META_JSON, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    // Asked first: a file without fs-verity must not become one with it between the two.
    const isEnforced = measureVerity(fd) !== undefined;
    const bytes = new Uint8Array(Math.min(fstat(fd).size, READ_MAX));
    const metadata = parseMetadata(bytes.subarray(0, preadFully(fd, bytes, 0)));
    return { metadata, verity: isEnforced ? "required" : "missing-allowed" };
  } finally {
    close(fd);
  }
}

/**
 * Writes the file: complete and durable when it has its name. Returns false if there is one, unless
 * `replace` puts the new one over it. Throws `verity-missing` where the file system has no fs-verity and
 * `required` asks for it; then nothing is written.
 */
export function writeMetaFile(
  dirfd: Fd,
  { metadata, verity }: MetaFile,
  options: { readonly replace: boolean },
): boolean {
  const made = createTemporaryFile(dirfd, META_MODE);
  let file = made;
  try {
    fchmod(made.fd, META_MODE);
    pwriteFully(made.fd, formatMetadata(metadata), 0);
    fsync(made.fd);
    if (verity === "required") {
      file = { ...made, fd: openat(AT_FDCWD, `/proc/self/fd/${made.fd}`, O_RDONLY) };
      close(made.fd);
      seal(file.fd, metadata);
      // btrfs: what fsync(2) writes of a file that has just got fs-verity may lack the descriptor.
      syncfs(file.fd);
    }
    nameTemporaryFile(file, dirfd, dirfd, META_JSON, options);
  } catch (error) {
    discardTemporaryFile(file, dirfd);
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
  // btrfs makes nothing durable of a file before it has a name.
  if (verity === "required") {
    syncfs(file.fd);
  } else {
    fsync(file.fd);
    fsync(dirfd);
  }
  close(file.fd);
  return true;
}

function seal(fd: Fd, metadata: RepositoryMetadata): void {
  if (enableVerityWhenFree(fd, metadata.algorithm) !== "unsupported") return;
  throw new ComposefsError(
    "verity-missing",
    `Cannot enable fs-verity on "${META_JSON}": the file system does not support it`,
    { hint: "choose another file system, or allow that fs-verity is missing" },
  );
}
