/**
 * Makes repositories. Only the directory and `meta.json` are made; the rest comes when it is needed.
 *
 * Source: composefs-rs 0.9, `init_path`, `ensure_path`, `reset_metadata`.
 */

import { rmSync } from "node:fs";

import type { ByteString } from "../core/bytes/byte-string.ts";
import type { FsVerityAlgorithm } from "../core/fsverity/digest.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  flock,
  fsync,
  lstatatIfExists,
  mkdiratIfMissing,
  openat,
  rmdiratIfEmpty,
} from "../floor/mod.ts";
import type { Fd } from "../floor/mod.ts";
import { readMetaFile, writeMetaFile } from "./meta-file.ts";
import type { MetaFile } from "./meta-file.ts";
import { formatMetadata, newMetadata } from "./metadata.ts";
import type { ErofsFormats, RepositoryMetadata } from "./metadata.ts";
import type { Verity } from "./objects/staged-object.ts";
import { inferMetadata } from "./old-repository.ts";
import { repositoryError } from "./repository-error.ts";

const REPOSITORY_MODE = 0o700;

/** What the repository shall be. */
export interface InitOptions {
  readonly algorithm: FsVerityAlgorithm;
  /** `required` needs a file system with fs-verity. A repository that requires it satisfies both. */
  readonly verity: Verity;
  readonly formats: ErofsFormats;
  /** A repository that is there already may have other formats; an old one is upgraded. */
  readonly ensure?: boolean | undefined;
  /** Removes metadata, streams and images that are there, and keeps the objects. */
  readonly resetMetadata?: boolean | undefined;
}

/** What became of the request, and what the repository is now. */
export interface InitResult extends MetaFile {
  readonly outcome: "created" | "already" | "upgraded";
}

/**
 * Makes a repository at `path` (its parent must be there), or finds that it is there as it was asked for.
 * Whatever kills us, there is a whole repository or none.
 *
 * @throws ComposefsError `repository-conflict`: another repository than asked for, or an old one without
 *   `ensure`; `repository-busy`: `resetMetadata`, and someone uses it; `repository-invalid`;
 *   `verity-missing`: `required` was asked for and cannot be had. SyscallError.
 */
export function initRepository(path: ByteString, options: InitOptions): InitResult {
  const made = makeDirectory(path);
  const dirfd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  try {
    const result =
      options.resetMetadata === true
        ? resetMetadata(path, dirfd, options)
        : createOrFind(path, dirfd, options);
    if (made) syncParent(dirfd);
    return result;
  } catch (error) {
    if (made) rmdiratIfEmpty(AT_FDCWD, path);
    throw error;
  } finally {
    close(dirfd);
  }
}

function createOrFind(path: ByteString, dirfd: Fd, options: InitOptions): InitResult {
  const wanted: MetaFile = {
    metadata: newMetadata(options.algorithm, options.formats),
    verity: options.verity,
  };
  for (;;) {
    const found = readExisting(path, dirfd);
    if (found !== undefined) {
      assertSatisfies(path, found, wanted, options);
      return { outcome: "already", ...found };
    }
    const old = options.ensure === true ? inferMetadata(dirfd) : undefined;
    if (old !== undefined) {
      assertSatisfies(path, old, wanted, options);
      if (writeMetaFile(dirfd, old, { replace: false })) return { outcome: "upgraded", ...old };
    } else if (writeMetaFile(dirfd, wanted, { replace: false })) {
      return { outcome: "created", ...wanted };
    }
    // Another process was faster.
  }
}

function resetMetadata(path: ByteString, dirfd: Fd, options: InitOptions): InitResult {
  if (!flock(dirfd, "exclusive", { wait: false })) {
    throw repositoryError("repository-busy", "reset", path, "another process uses it");
  }
  const { algorithm, verity, formats } = options;
  const wanted: MetaFile = { metadata: newMetadata(algorithm, formats), verity };
  for (const name of ["streams", "images"]) {
    rmSync(`/proc/self/fd/${dirfd}/${name}`, { recursive: true, force: true });
  }
  fsync(dirfd);
  writeMetaFile(dirfd, wanted, { replace: true });
  return { outcome: "created", ...wanted };
}

function readExisting(path: ByteString, dirfd: Fd): MetaFile | undefined {
  try {
    return readMetaFile(dirfd);
  } catch (error) {
    throw asInvalid(path, error);
  }
}

/** An error of the metadata as one about the repository. */
export function asInvalid(path: ByteString, error: unknown): unknown {
  const isInvalid =
    error instanceof Error && "code" in error && error.code === "repository-invalid";
  if (!isInvalid) return error;
  const hint = "hint" in error ? (error.hint as string | undefined) : undefined;
  return repositoryError("repository-invalid", "use", path, error.message, { hint, cause: error });
}

function assertSatisfies(
  path: ByteString,
  found: MetaFile,
  wanted: MetaFile,
  options: InitOptions,
): void {
  const conflict = (reason: string): Error =>
    repositoryError("repository-conflict", "initialize", path, reason, {
      hint: "leave the option out, choose another place, or start anew with --reset-metadata",
    });
  const { metadata } = found;
  if (metadata.algorithm !== options.algorithm) {
    throw conflict(`it is there already, with ${metadata.algorithm}`);
  }
  if (options.verity === "required" && found.verity !== "required") {
    throw conflict("it is there already, and does not require fs-verity");
  }
  if (options.ensure !== true && !isSame(metadata, wanted.metadata)) {
    throw conflict(`it is there already, with ${describeFormats(metadata.formats)}`);
  }
}

function isSame(a: RepositoryMetadata, b: RepositoryMetadata): boolean {
  return Buffer.compare(formatMetadata(a), formatMetadata(b)) === 0;
}

function describeFormats({ default: version, extra }: ErofsFormats): string {
  const rest = extra.length === 0 ? "" : ` and V${extra.join(", V")}`;
  return `EROFS format V${version}${rest}, or other features`;
}

/** Returns whether it made it. */
function makeDirectory(path: ByteString): boolean {
  return (
    lstatatIfExists(AT_FDCWD, path) === undefined &&
    mkdiratIfMissing(AT_FDCWD, path, REPOSITORY_MODE)
  );
}

function syncParent(dirfd: Fd): void {
  const parent = openat(dirfd, "..", O_RDONLY | O_DIRECTORY);
  try {
    fsync(parent);
  } finally {
    close(parent);
  }
}
