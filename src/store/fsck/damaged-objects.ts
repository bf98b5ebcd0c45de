/**
 * The objects that fsck found damaged, while they are repaired: each goes when good content has taken its
 * place. Content is believed when it has the digest, wherever it comes from.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { objectPath } from "../../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, SyscallError, close, openat } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";
import { ObjectChecker, openObjectOrFault } from "../survey/check-object.ts";
import type { FsckReport } from "./finding.ts";
import { replaceObject } from "./replace-object.ts";
import type { GoodContent } from "./replace-object.ts";

/** An object that is whole again, and where its content came from, for people. */
export interface RepairedObject {
  readonly digest: FsVerityDigest;
  readonly from: string;
}

/** What is still damaged, and what was. */
export class DamagedObjects {
  readonly repaired: RepairedObject[] = [];
  readonly #repository: Repository;
  readonly #damaged: Set<FsVerityDigest>;

  constructor(repository: Repository, { findings }: FsckReport) {
    this.#repository = repository;
    this.#damaged = new Set(
      findings.flatMap(({ kind, digest }) =>
        digest !== undefined && kind.startsWith("object-") ? [digest] : [],
      ),
    );
  }

  has(digest: FsVerityDigest): boolean {
    return this.#damaged.has(digest);
  }

  /** Puts content in the place of an object; returns false if it is not the object's. */
  replace(digest: FsVerityDigest, content: GoodContent, from: string): boolean {
    if (!replaceObject(this.#repository, digest, content)) return false;
    this.#isRepaired(digest, from);
    return true;
  }

  /** Repairs what lost only its fs-verity, and what is in other repositories or directories of objects. */
  takeFromHere(directories: readonly ByteString[]): void {
    for (const digest of this.#damaged) this.#takeOneFromHere(digest, directories);
  }

  /** Notes what others have made whole meanwhile. */
  lookAgain(from: string): void {
    const checker = new ObjectChecker(this.#repository);
    for (const digest of this.#damaged) {
      const fd = openObjectOrFault(this.#repository.dirfd, digest);
      if (typeof fd !== "number") continue;
      try {
        if (checker.check(fd, digest) === undefined) this.#isRepaired(digest, from);
      } finally {
        close(fd);
      }
    }
  }

  #isRepaired(digest: FsVerityDigest, from: string): void {
    this.#damaged.delete(digest);
    this.repaired.push({ digest, from });
  }

  #takeOneFromHere(digest: FsVerityDigest, directories: readonly ByteString[]): void {
    const own = openObjectOrFault(this.#repository.dirfd, digest);
    if (typeof own === "number" && this.#takeFile(digest, own, "itself")) return;
    for (const directory of directories) {
      for (const path of [
        `${directory}/objects/${objectPath(digest)}`,
        `${directory}/${objectPath(digest)}`,
      ]) {
        const fd = openIfThere(path);
        if (fd !== undefined && this.#takeFile(digest, fd, displayText(directory))) return;
      }
    }
  }

  /** Closes the file. */
  #takeFile(digest: FsVerityDigest, fd: Fd, from: string): boolean {
    try {
      // Hashed first, so that nothing large is copied in vain.
      if (new ObjectChecker(this.#repository).hash(fd) !== digest) return false;
      return this.replace(digest, fd, from);
    } catch (error) {
      if (error instanceof SyscallError) return false; // it cannot be read, which fsck has told
      throw error;
    } finally {
      close(fd);
    }
  }
}

function openIfThere(path: string): Fd | undefined {
  try {
    return openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
