/**
 * Writing the content index anew: out of the objects themselves, or out of the records that are still of
 * use. The new file takes the old one's place when it is complete.
 */

import { createHash } from "node:crypto";

import { formatOciDigest, ociDigestBytes } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import {
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  fstat,
  isErrno,
  nameTemporaryFile,
  openat,
  preadFully,
  pwriteFully,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { readLinks } from "../survey/links.ts";
import { readObjectDirectories } from "../survey/objects.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";
import { Turns } from "../survey/turns.ts";
import {
  CONTENT_INDEX_NAME,
  HEADER_SIZE,
  KEY_SIZE,
  classifyHeader,
  decodeRecord,
  encodeHeader,
  encodeRecord,
  recordSize,
} from "./format.ts";
import type { ContentEntry } from "./format.ts";
import { isAlive } from "./is-alive.ts";

/** Options of {@link rebuildContentIndex}. */
export interface RebuildOptions {
  readonly signal?: AbortSignal;
  /** Hears how many objects were hashed. */
  readonly onProgress?: (objects: number) => void;
}

const BATCH = 4096;
const PIECE = 1 << 20;

/**
 * Hashes all objects that are no streams and no images, and writes the index of them; returns how many.
 * What other processes add meanwhile is lost, which costs them no more than a download. Throws
 * SyscallError where the repository cannot be written; the old index then stays.
 */
export async function rebuildContentIndex(
  repository: RepositoryFiles,
  options: RebuildOptions = {},
): Promise<number> {
  const turns = new Turns(options.signal);
  const named = new Set<string>();
  for (const category of ["streams", "images"] as const) {
    for (const digest of readLinks(repository, category).entries.values()) named.add(digest);
  }
  return replaceIndex(repository, async (write) => {
    const buffer = new Uint8Array(PIECE);
    let done = 0;
    for (const { dirfd, objects } of readObjectDirectories(repository)) {
      for (const digest of objects) {
        if (named.has(digest)) continue;
        const hashed = hashFile(dirfd, digest.slice(2), buffer);
        if (hashed !== undefined) write(hashed.sha256, { digest, size: hashed.size });
        options.onProgress?.(++done);
        await turns.next();
      }
    }
  });
}

/**
 * Writes the index without torn records and those of objects that are gone; returns how many are left. Throws as
 * {@link rebuildContentIndex}.
 */
export async function compactContentIndex(
  repository: RepositoryFiles,
  options: RebuildOptions = {},
): Promise<number> {
  const turns = new Turns(options.signal);
  const size = recordSize(repository.algorithm);
  let old: Fd;
  try {
    old = openat(repository.dirfd, CONTENT_INDEX_NAME, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return 0;
    throw error;
  }
  try {
    const header = new Uint8Array(HEADER_SIZE);
    preadFully(old, header, 0);
    if (classifyHeader(header, repository.algorithm) !== "usable") return 0;
    return await replaceIndex(repository, async (write) => {
      const buffer = new Uint8Array(BATCH * size);
      for (let at = HEADER_SIZE; ;) {
        const count = Math.floor(preadFully(old, buffer, at) / size);
        for (let index = 0; index < count; index++) {
          const record = buffer.subarray(index * size, (index + 1) * size);
          const entry = decodeRecord(record);
          if (entry === undefined || !isAlive(repository, entry)) continue;
          write(formatOciDigest("sha256", record.subarray(0, KEY_SIZE)), entry);
        }
        at += count * size;
        await turns.next();
        if (count < BATCH) return;
      }
    });
  } finally {
    close(old);
  }
}

async function replaceIndex(
  repository: RepositoryFiles,
  fill: (write: (sha256: OciDigest, entry: ContentEntry) => void) => Promise<void>,
): Promise<number> {
  const { dirfd, algorithm } = repository;
  const size = recordSize(algorithm);
  const file = createTemporaryFile(dirfd, 0o644);
  let isNamed = false;
  try {
    pwriteFully(file.fd, encodeHeader(algorithm), 0);
    const buffer = new Uint8Array(BATCH * size);
    let filled = 0;
    let written = 0;
    const writeOut = (): void => {
      pwriteFully(file.fd, buffer.subarray(0, filled * size), HEADER_SIZE + written * size);
      written += filled;
      filled = 0;
    };
    await fill((sha256, entry) => {
      const record = buffer.subarray(filled * size, (filled + 1) * size);
      encodeRecord(record, ociDigestBytes(sha256), entry);
      if (++filled === BATCH) writeOut();
    });
    writeOut();
    nameTemporaryFile(file, dirfd, dirfd, CONTENT_INDEX_NAME, { replace: true });
    isNamed = true;
    return written;
  } finally {
    if (isNamed) close(file.fd);
    else discardTemporaryFile(file, dirfd);
  }
}

/** Hashes a file; nothing for one that is gone or is none. */
function hashFile(
  dirfd: Fd,
  name: string,
  buffer: Uint8Array,
): { readonly sha256: OciDigest; readonly size: number } | undefined {
  let fd: Fd;
  try {
    fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return undefined; // fsck tells about it
  }
  try {
    const hash = createHash("sha256");
    let size = 0;
    for (;;) {
      const count = preadFully(fd, buffer, size);
      hash.update(buffer.subarray(0, count));
      size += count;
      if (count < buffer.length) break;
    }
    if (size !== fstat(fd).size) return undefined;
    return { sha256: formatOciDigest("sha256", hash.digest()), size };
  } catch (error) {
    if (isErrno(error, "EIO", "EISDIR", "EBADMSG")) return undefined;
    throw error;
  } finally {
    close(fd);
  }
}
