/**
 * Where the images of a repository came from, so that a damaged object can be fetched again from there:
 * a file for each manifest in `origins/`, which other programs pass over. Nothing depends on it; garbage
 * collection removes the notes of images that are gone.
 */

import { byteString } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { isOciDigest } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  SyscallError,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  isErrno,
  mkdiratIfMissing,
  nameTemporaryFile,
  openat,
  preadFully,
  pwriteFully,
} from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";
import { kindOfEntry, sortedEntries } from "../survey/directory-entries.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";

const DIRECTORY = "origins" as ByteString;
/** More than any name of an image. */
const SIZE_MAX = 8192;

/** The name by which the image of a manifest was pulled, as `openImageSource` takes it; if it is known. */
export function readOrigin(repo: Repository, manifestDigest: OciDigest): string | undefined {
  let fd;
  try {
    fd = openat(repo.dirfd, pathOf(manifestDigest), O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
  try {
    const bytes = new Uint8Array(SIZE_MAX);
    const text = Buffer.from(bytes.subarray(0, preadFully(fd, bytes, 0))).toString("latin1");
    return text.endsWith("\n") ? text.slice(0, -1) : undefined;
  } finally {
    close(fd);
  }
}

/**
 * Notes by which name, a byte string, the image of a manifest was pulled. A repository that cannot take
 * the note is none the worse for it.
 */
export function noteOrigin(repo: Repository, manifestDigest: OciDigest, name: string): void {
  if (readOrigin(repo, manifestDigest) === name || name.length >= SIZE_MAX) return;
  try {
    writeNote(repo, pathOf(manifestDigest), Buffer.from(`${name}\n`, "latin1"));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  }
}

/** Where a note is, and of what. */
export interface OriginNote {
  readonly manifestDigest: OciDigest;
  /** Path in the repository. */
  readonly path: ByteString;
}

/** All notes, in byte order. What is no regular file of such a name is passed over. */
export function listOrigins({ dirfd }: Pick<RepositoryFiles, "dirfd">): OriginNote[] {
  let fd;
  try {
    fd = openat(dirfd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return [];
    throw error;
  }
  try {
    return sortedEntries(fd).flatMap((entry) => {
      const manifestDigest: string = entry.name;
      if (!isOciDigest(manifestDigest) || kindOfEntry(fd, entry) !== "file") return [];
      return { manifestDigest, path: pathOf(manifestDigest) };
    });
  } finally {
    close(fd);
  }
}

function writeNote({ dirfd }: Repository, path: ByteString, bytes: Uint8Array): void {
  mkdiratIfMissing(dirfd, DIRECTORY, 0o755);
  const file = createTemporaryFile(dirfd, 0o644);
  try {
    pwriteFully(file.fd, bytes, 0);
    nameTemporaryFile(file, dirfd, dirfd, path, { replace: true });
  } catch (error) {
    discardTemporaryFile(file, dirfd);
    throw error;
  }
  close(file.fd);
}

function pathOf(manifestDigest: OciDigest): ByteString {
  return byteString(`${DIRECTORY}/${manifestDigest}`);
}
