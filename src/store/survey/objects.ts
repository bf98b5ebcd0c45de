/**
 * The files in `objects/`, one directory at a time: 256 lists that fit into memory, however many
 * objects there are.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  SyscallError,
  close,
  describeErrno,
  isErrno,
  openat,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { kindOfEntry, sortedEntries } from "./directory-entries.ts";
import type { StrangeFile } from "./links.ts";
import { isObjectPrefix, isTemporaryName, objectOfName } from "./names.ts";
import type { RepositoryFiles } from "./repository-files.ts";

/** What one directory holds. */
export interface ObjectDirectory {
  /** The directory, open until the next one is asked for. */
  readonly dirfd: Fd;
  /** Its path in the repository: `objects` or `objects/XX`. */
  readonly path: ByteString;
  /** In byte order; none in `objects` itself. */
  readonly objects: readonly FsVerityDigest[];
  /** Names of regular files that somebody was making. */
  readonly temporary: readonly ByteString[];
  readonly strange: readonly StrangeFile[];
}

/** Yields `objects` itself and the directories in it, in byte order. Nothing is followed. */
export function* readObjectDirectories(
  repository: RepositoryFiles,
): Generator<ObjectDirectory, void> {
  const top = openDirectory(repository.dirfd, "objects" as ByteString);
  if (top === undefined) return;
  if (typeof top !== "number") {
    throw top; // without its objects there is nothing to say about a repository
  }
  try {
    const prefixes: ByteString[] = [];
    const temporary: ByteString[] = [];
    const strange: StrangeFile[] = [];
    for (const entry of sortedEntries(top)) {
      const { name } = entry;
      const kind = kindOfEntry(top, entry);
      if (kind === undefined) continue;
      if (kind === "directory" && isObjectPrefix(name)) prefixes.push(name);
      else if (kind === "file" && isTemporaryName(name)) temporary.push(name);
      else
        strange.push({
          path: `objects/${name}` as ByteString,
          reason: `a ${kind} of no known name`,
        });
    }
    yield { dirfd: top, path: "objects" as ByteString, objects: [], temporary, strange };
    for (const prefix of prefixes) yield* readOne(repository, top, prefix);
  } finally {
    close(top);
  }
}

function* readOne(
  repository: RepositoryFiles,
  top: Fd,
  prefix: ByteString,
): Generator<ObjectDirectory, void> {
  const path = `objects/${prefix}` as ByteString;
  const dirfd = openDirectory(top, prefix);
  if (dirfd === undefined) return;
  if (typeof dirfd !== "number") {
    const reason = `cannot be opened: ${describeErrno(dirfd.errno)}`;
    yield { dirfd: top, path, objects: [], temporary: [], strange: [{ path, reason }] };
    return;
  }
  try {
    const objects: FsVerityDigest[] = [];
    const temporary: ByteString[] = [];
    const strange: StrangeFile[] = [];
    for (const entry of sortedEntries(dirfd)) {
      const { name } = entry;
      const kind = kindOfEntry(dirfd, entry);
      if (kind === undefined) continue;
      const digest = objectOfName(prefix, name, repository.algorithm);
      if (kind === "file" && digest !== undefined) objects.push(digest);
      else if (kind === "file" && isTemporaryName(name)) temporary.push(name);
      else {
        const reason =
          digest === undefined ? `a ${kind} of no known name` : `a ${kind}, not a file`;
        strange.push({ path: `${path}/${name}` as ByteString, reason });
      }
    }
    yield { dirfd, path, objects, temporary, strange };
  } finally {
    close(dirfd);
  }
}

function openDirectory(parent: Fd, name: ByteString): Fd | SyscallError | undefined {
  try {
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    if (error instanceof SyscallError) return error;
    throw error;
  }
}
