/** Objects out of files that exist already: shared with them where that is possible, else copied. */

import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { preadFully, pwriteFully } from "../../floor/mod.ts";
import type { Fd, TemporaryFile } from "../../floor/mod.ts";
import type { ObjectFiles } from "./object-files.ts";

/** Bytes that are read and hashed at a time; files up to this size are held in memory. */
const CHUNK_SIZE = 1 << 20;

/** How to import a file. */
export interface ImportOptions {
  /**
   * The caller vouches that nobody will ever write to the file, so that it may itself become the object,
   * with the mode and owner that it has. With verity it becomes immutable under its other names, too.
   */
  readonly mayHardlink?: boolean;
}

/** What became of a file. */
export interface Imported {
  readonly digest: FsVerityDigest;
  readonly how: "reflinked" | "hardlinked" | "copied" | "already-present";
}

/** What the staging does for imports. */
export interface ImportOwner {
  /** Whether an object must be written. */
  needs(digest: FsVerityDigest, size: number): boolean;
  /** Takes over a complete object. */
  stage(
    file: TemporaryFile,
    digest: FsVerityDigest,
    size: number,
    how: Exclude<Imported["how"], "already-present">,
  ): void;
}

interface Source extends ImportOptions {
  readonly fd: Fd;
  readonly size: number;
}

/** Stages the content of a file; see `ObjectStaging.importFile`. */
export function importObject(
  owner: ImportOwner,
  files: ObjectFiles,
  hasher: FsVerityHasher,
  source: Source,
): Imported {
  if (source.size <= CHUNK_SIZE) return importSmall(owner, files, hasher, source);
  const { fd, size } = source;
  const file = files.create();
  let isStaged = false;
  try {
    let how: Exclude<Imported["how"], "already-present"> = "reflinked";
    let digest: FsVerityDigest;
    if (files.clone(fd, file)) {
      // Of a reflinked file its own content is hashed, which nobody else can change.
      digest = readAll(hasher, file.fd, size);
      if (!owner.needs(digest, size)) return { digest, how: "already-present" };
    } else {
      digest = readAll(hasher, fd, size);
      if (!owner.needs(digest, size)) return { digest, how: "already-present" };
      if (stageLink(owner, files, source, digest)) return { digest, how: "hardlinked" };
      how = "copied";
      if (readAll(hasher, fd, size, file.fd) !== digest) throw changed(size);
    }
    isStaged = true;
    owner.stage(file, digest, size, how);
    return { digest, how };
  } finally {
    if (!isStaged) files.drop(file);
  }
}

function importSmall(
  owner: ImportOwner,
  files: ObjectFiles,
  hasher: FsVerityHasher,
  source: Source,
): Imported {
  const { fd, size } = source;
  const data = new Uint8Array(size);
  if (preadFully(fd, data, 0) !== size) throw changed(size);
  assertEnd(fd, size);
  hasher.update(data);
  const digest = hasher.digest();
  if (!owner.needs(digest, size)) return { digest, how: "already-present" };
  const made: { file: TemporaryFile; how: "reflinked" | "copied" } = files.createFrom(data, fd);
  if (made.how === "copied" && stageLink(owner, files, source, digest)) {
    files.drop(made.file);
    return { digest, how: "hardlinked" };
  }
  owner.stage(made.file, digest, size, made.how);
  return { digest, how: made.how };
}

function stageLink(
  owner: ImportOwner,
  files: ObjectFiles,
  source: Source,
  digest: FsVerityDigest,
): boolean {
  if (source.mayHardlink !== true) return false;
  const link = files.link(source.fd);
  if (link === undefined) return false;
  owner.stage(link, digest, source.size, "hardlinked");
  return true;
}

/** Hashes exactly `size` bytes, and writes them to `to` where given. */
function readAll(hasher: FsVerityHasher, fd: Fd, size: number, to?: Fd): FsVerityDigest {
  const buffer = new Uint8Array(CHUNK_SIZE);
  let at = 0;
  while (at < size) {
    const part = buffer.subarray(0, Math.min(CHUNK_SIZE, size - at));
    if (preadFully(fd, part, at) !== part.length) break;
    hasher.update(part);
    if (to !== undefined) pwriteFully(to, part, at);
    at += part.length;
  }
  const digest = hasher.digest();
  if (at < size) throw changed(size);
  assertEnd(fd, size);
  return digest;
}

function assertEnd(fd: Fd, size: number): void {
  if (preadFully(fd, new Uint8Array(1), size) !== 0) throw changed(size);
}

function changed(size: number): ComposefsError {
  return new ComposefsError(
    "source-changed",
    `Cannot store a file of ${size} bytes: it changed while it was read`,
  );
}
