/**
 * Where the images of a repository came from, so that a damaged object can be fetched again from there:
 * a file for each manifest in `origins/`, which other programs pass over. Nothing depends on it.
 */

import { byteString } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import {
  O_NOFOLLOW,
  O_RDONLY,
  SyscallError,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  isErrno,
  mkdirat,
  nameTemporaryFile,
  openat,
  pwriteFully,
  preadFully,
} from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";

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

function writeNote({ dirfd }: Repository, path: ByteString, bytes: Uint8Array): void {
  try {
    mkdirat(dirfd, DIRECTORY, 0o755);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
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
