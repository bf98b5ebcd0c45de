/** What each thread of fsck does. Descriptors are numbers that all threads share. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { close } from "../../floor/mod.ts";
import { ObjectChecker, openObjectOrFault } from "../survey/check-object.ts";
import type { ObjectFault } from "../survey/check-object.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";

/** What every thread needs to know. */
export interface CheckConfig extends Pick<RepositoryFiles, "dirfd" | "algorithm" | "verity"> {
  /** Read what the kernel vouches for, too. */
  readonly thorough: boolean;
}

/** An object that is damaged. */
export interface DamagedObject {
  readonly digest: FsVerityDigest;
  readonly fault: ObjectFault;
}

/** Checks objects in whichever thread. What is gone meanwhile is left out. */
export class ObjectTaskRunner {
  readonly #config: CheckConfig;
  readonly #checker: ObjectChecker;

  constructor(config: CheckConfig) {
    this.#config = config;
    this.#checker = new ObjectChecker(config);
  }

  check(digests: readonly FsVerityDigest[]): DamagedObject[] {
    const damaged: DamagedObject[] = [];
    for (const digest of digests) {
      const fault = this.#fault(digest);
      if (fault !== undefined && fault.kind !== "missing") damaged.push({ digest, fault });
    }
    return damaged;
  }

  #fault(digest: FsVerityDigest): ObjectFault | undefined {
    const fd = openObjectOrFault(this.#config.dirfd, digest);
    if (typeof fd !== "number") return fd;
    try {
      return this.#checker.check(fd, digest, this.#config.thorough);
    } finally {
      close(fd);
    }
  }
}
