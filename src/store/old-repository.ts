/**
 * Repositories from before there was `meta.json`: what they are shows in their objects.
 *
 * Source: composefs-rs 0.9, `infer_metadata`.
 */

import type { ByteString } from "../core/bytes/byte-string.ts";
import { DIGEST_SIZE } from "../core/fsverity/digest.ts";
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  close,
  isErrno,
  measureVerity,
  openat,
  readDirectory,
} from "../floor/mod.ts";
import type { Fd } from "../floor/mod.ts";
import type { MetaFile } from "./meta-file.ts";
import { newMetadata } from "./metadata.ts";

/**
 * Tells what an old repository is by the first object that is found: the algorithm by the length of its
 * name, the mode by whether it has fs-verity. `undefined` if there are no objects.
 */
export function inferMetadata(dirfd: Fd): MetaFile | undefined {
  const objects = openDirectory(dirfd, "objects" as ByteString);
  if (objects === undefined) return undefined;
  try {
    for (const { name } of readDirectory(objects)) {
      const found = /^[0-9a-f]{2}$/.test(name) ? inferFrom(objects, name as ByteString) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  } finally {
    close(objects);
  }
}

function inferFrom(objects: Fd, prefix: ByteString): MetaFile | undefined {
  const directory = openDirectory(objects, prefix);
  if (directory === undefined) return undefined;
  try {
    for (const { name } of readDirectory(directory)) {
      if (!/^[0-9a-f]+$/.test(name)) continue;
      for (const algorithm of ["sha256", "sha512"] as const) {
        if (name.length !== 2 * (DIGEST_SIZE[algorithm] - 1)) continue;
        const verity = hasVerity(directory, name as ByteString) ? "required" : "missing-allowed";
        return { metadata: newMetadata(algorithm, { default: 1, extra: [] }), verity };
      }
    }
    return undefined;
  } finally {
    close(directory);
  }
}

function hasVerity(dirfd: Fd, name: ByteString): boolean {
  const fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return measureVerity(fd) !== undefined;
  } finally {
    close(fd);
  }
}

function openDirectory(dirfd: Fd, name: ByteString): Fd | undefined {
  try {
    return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}
