/** Opening the directory of a repository: its lock, its metadata, and whether it is what the caller asked for. */

import type { ByteString } from "../core/bytes/byte-string.ts";
import type { ComposefsError } from "../core/errors.ts";
import type { FsVerityAlgorithm } from "../core/fsverity/digest.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  flock,
  isErrno,
  lstatatIfExists,
  openat,
} from "../floor/mod.ts";
import type { Fd } from "../floor/mod.ts";
import { asInvalid } from "./init.ts";
import { readMetaFile, writeMetaFile } from "./meta-file.ts";
import type { MetaFile } from "./meta-file.ts";
import type { ErofsFormats } from "./metadata.ts";
import type { Verity } from "./objects/staged-object.ts";
import { inferMetadata } from "./old-repository.ts";
import { repositoryError } from "./repository-error.ts";

/** How to open a repository. */
export interface OpenOptions {
  /** `required` refuses a repository that does not require fs-verity itself. */
  readonly verity?: Verity | undefined;
  /** Refuses a repository with another one. */
  readonly algorithm?: FsVerityAlgorithm | undefined;
  /** Gives an old repository its metadata; else it is refused. */
  readonly upgrade?: boolean | undefined;
  /** The formats of the images that are made with this object, instead of the repository's. */
  readonly formats?: ErofsFormats | undefined;
  /** Refuses a repository that cannot be written to. */
  readonly writable?: boolean | undefined;
  /**
   * What to do while another process holds the lock exclusively: wait for it, which blocks this thread
   * (unless told), or throw `repository-busy`.
   */
  readonly lock?: "wait" | "try" | undefined;
}

/** Opens the directory, takes the shared lock, reads the metadata. Throws as `Repository.open`. */
export function openLocked(
  path: ByteString,
  options: OpenOptions,
): { readonly dirfd: Fd; readonly file: MetaFile } {
  const dirfd = openDirectory(path);
  try {
    if (!flock(dirfd, "shared", { wait: options.lock !== "try" })) {
      throw repositoryError("repository-busy", "open", path, "another process removes from it", {
        hint: "try again later",
      });
    }
    const file = readMetadata(path, dirfd, options);
    assertAskedFor(path, file, options);
    return { dirfd, file };
  } catch (error) {
    close(dirfd);
    throw error;
  }
}

/** What lies on the disk never lowers what was asked for. */
function assertAskedFor(path: ByteString, file: MetaFile, options: OpenOptions): void {
  const { algorithm } = file.metadata;
  if (options.verity === "required" && file.verity !== "required") {
    throw repositoryError("verity-missing", "open", path, "it does not require fs-verity", {
      hint: "make a new one with `composefs repo init` on a file system with fs-verity",
    });
  }
  if (options.algorithm !== undefined && options.algorithm !== algorithm) {
    const reason = `its algorithm is ${algorithm}, not ${options.algorithm}`;
    throw repositoryError("repository-conflict", "open", path, reason);
  }
}

function openDirectory(path: ByteString): Fd {
  try {
    return openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    throw missingRepository(path);
  }
}

function readMetadata(path: ByteString, dirfd: Fd, options: OpenOptions): MetaFile {
  for (;;) {
    let file: MetaFile | undefined;
    try {
      file = readMetaFile(dirfd);
    } catch (error) {
      throw asInvalid(path, error);
    }
    if (file !== undefined) return file;
    if (lstatatIfExists(dirfd, "objects") === undefined) throw missingRepository(path);
    if (options.upgrade !== true) {
      throw repositoryError("repository-invalid", "open", path, "it is old and has no meta.json", {
        hint: "`composefs repo init --ensure` upgrades it",
      });
    }
    const inferred = inferMetadata(dirfd);
    if (inferred === undefined) {
      throw repositoryError(
        "repository-invalid",
        "open",
        path,
        "it has no meta.json and no objects",
      );
    }
    assertAskedFor(path, inferred, options);
    // False if another process was faster.
    if (writeMetaFile(dirfd, inferred, { replace: false })) return inferred;
  }
}

function missingRepository(path: ByteString): ComposefsError {
  return repositoryError("repository-missing", "open", path, "there is none", {
    hint: "`composefs repo init` makes one",
  });
}
