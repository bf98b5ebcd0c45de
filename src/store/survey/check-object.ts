/**
 * Whether an object has the content that its name says.
 *
 * Where the kernel has an fs-verity digest for the file, that is the answer: it checks every later read
 * against it. Else the content is read and hashed here, which `required` does not accept instead.
 */

import { ComposefsError } from "../../core/errors.ts";
import { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { fsVerityDigestFrom, objectPath } from "../../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import {
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  SyscallError,
  blockHash,
  close,
  describeErrno,
  fileSourceOf,
  isErrno,
  measureVerity,
  openat,
} from "../../floor/mod.ts";
import type { Fd, FileSource } from "../../floor/mod.ts";
import { hashOpenFile } from "../objects/hash-file.ts";
import type { RepositoryFiles } from "./repository-files.ts";

/** What is wrong with an object. */
export interface ObjectFault {
  readonly kind: "missing" | "unreadable" | "wrong-content" | "no-verity";
  readonly detail: string;
}

/** Bytes that are read at a time. */
const PIECE = 1 << 20;

/** Checks objects of one repository, one after the other. */
export class ObjectChecker {
  readonly #algorithm: FsVerityAlgorithm;
  readonly #verity: RepositoryFiles["verity"];
  readonly #hasher: FsVerityHasher;
  readonly #buffer = new Uint8Array(PIECE);

  constructor(repository: Pick<RepositoryFiles, "algorithm" | "verity">) {
    this.#algorithm = repository.algorithm;
    this.#verity = repository.verity;
    this.#hasher = new FsVerityHasher(blockHash(repository.algorithm));
  }

  /**
   * Checks an open object; `undefined` if nothing is wrong. `thorough` reads what the kernel vouches
   * for, too, which finds blocks that went bad on the disk.
   */
  check(fd: Fd, digest: FsVerityDigest, thorough = false): ObjectFault | undefined {
    try {
      const measured = measureVerity(fd);
      if (measured === undefined) {
        if (this.#verity === "required") {
          return {
            kind: "no-verity",
            detail: "it has no fs-verity, which this repository requires",
          };
        }
        return compare(this.hash(fd), digest);
      }
      const fault =
        measured.algorithm === this.#algorithm
          ? compare(fsVerityDigestFrom(measured.digest), digest)
          : { kind: "wrong-content" as const, detail: `its fs-verity is ${measured.algorithm}` };
      return fault ?? (thorough ? compare(this.hash(fd), digest) : undefined);
    } catch (error) {
      if (error instanceof SyscallError) return unreadable(error);
      throw error;
    }
  }

  /** Reads a file from its start and computes its digest. */
  hash(fd: Fd): FsVerityDigest {
    return hashOpenFile(fd, this.#hasher, this.#buffer);
  }
}

/** Opens an object without checking it. `dirfd` is the repository's. */
export function openObjectOrFault(dirfd: Fd, digest: FsVerityDigest): Fd | ObjectFault {
  try {
    return openat(
      dirfd,
      `objects/${objectPath(digest)}`,
      // Not to wait for a writer, should it be a pipe.
      O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
    );
  } catch (error) {
    if (isErrno(error, "ENOENT")) return { kind: "missing", detail: "it is not there" };
    if (error instanceof SyscallError) return unreadable(error);
    throw error;
  }
}

/**
 * Opens an object that has been checked, as bytes to read from. Throws `object-missing` and
 * `object-corrupt`.
 */
export function openCheckedObject(
  repository: RepositoryFiles,
  digest: FsVerityDigest,
  checker: ObjectChecker,
): FileSource {
  const fd = openObjectOrFault(repository.dirfd, digest);
  if (typeof fd !== "number") throw faultError(digest, fd);
  try {
    const fault = checker.check(fd, digest);
    if (fault !== undefined) throw faultError(digest, fault);
    return fileSourceOf(fd, digest);
  } catch (error) {
    close(fd);
    throw error;
  }
}

function faultError(digest: FsVerityDigest, fault: ObjectFault): ComposefsError {
  const code = fault.kind === "missing" ? "object-missing" : "object-corrupt";
  return new ComposefsError(code, `Cannot read object ${digest}: ${fault.detail}`);
}

function compare(actual: FsVerityDigest, wanted: FsVerityDigest): ObjectFault | undefined {
  if (actual === wanted) return undefined;
  return { kind: "wrong-content", detail: `its content has the digest ${actual}` };
}

function unreadable(error: SyscallError): ObjectFault {
  return { kind: "unreadable", detail: `${describeErrno(error.errno)} (${error.errnoName})` };
}
