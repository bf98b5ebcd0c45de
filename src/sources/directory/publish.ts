/**
 * Gives complete, durable objects fs-verity and their names.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { digestAlgorithm, fsVerityDigestFrom, objectPath } from "../../core/fsverity/digest.ts";
import {
  AT_FDCWD,
  O_RDONLY,
  SyscallError,
  close,
  discardTemporaryFile,
  enableVerity,
  isErrno,
  measureVerity,
  nameTemporaryFile,
  openat,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { ReadFailure, describeFailure, storeFailure } from "./entry-failure.ts";
import { hasObject } from "./object-writer.ts";
import type { EntryFailure, PublishReply, PublishTask, StagedObject } from "./tasks.ts";

/** How often, and how long in milliseconds, to wait until nobody has the file open for writing. */
const BUSY_TRIES = 20;
const BUSY_WAIT = 5;

/** Publishes objects in one thread. */
export class ObjectPublisher {
  readonly #dirfd: Fd;
  /** Whether the store's file system has fs-verity; not known before the first object. */
  #verityWorks: boolean | undefined;

  constructor(dirfd: Fd) {
    this.#dirfd = dirfd;
  }

  /** Publishes the objects; closes all of them, also those that it could not publish. */
  publish(task: PublishTask): PublishReply {
    let done = 0;
    let failure: EntryFailure | undefined;
    for (const object of task.objects) {
      if (failure !== undefined) {
        discardTemporaryFile(object, this.#dirfd);
        continue;
      }
      try {
        this.#publishOne(object);
        done++;
      } catch (error) {
        const cause = error instanceof SyscallError ? storeFailure(error) : error;
        failure = describeFailure(cause, undefined);
      }
    }
    return { kind: "publish", done, failure };
  }

  #publishOne(object: StagedObject): void {
    const dirfd = this.#dirfd;
    const sealed = this.#verityWorks === false ? object : this.#seal(object);
    try {
      nameTemporaryFile(sealed, dirfd, dirfd, objectPath(object.digest), { replace: false });
    } catch (error) {
      discardTemporaryFile(sealed, dirfd);
      // Another process was faster; what it wrote has the same name, so it has the same content.
      if (isErrno(error, "EEXIST") && hasObject(dirfd, object.digest, object.size)) return;
      throw error;
    }
    close(sealed.fd);
  }

  /**
   * Enables fs-verity where the file system has it, and lets the kernel confirm the digest. The file
   * must not be open for writing then, so it goes on with a descriptor of its own.
   */
  #seal(object: StagedObject): StagedObject {
    let fd: Fd;
    try {
      fd = openat(AT_FDCWD, `/proc/self/fd/${object.fd}`, O_RDONLY);
    } catch (error) {
      discardTemporaryFile(object, this.#dirfd);
      throw error;
    }
    close(object.fd);
    const sealed = { ...object, fd };
    try {
      this.#verityWorks = enableWhenFree(fd, object.digest) !== "unsupported";
      if (this.#verityWorks) confirmDigest(fd, object.digest);
      return sealed;
    } catch (error) {
      discardTemporaryFile(sealed, this.#dirfd);
      throw error;
    }
  }
}

function enableWhenFree(fd: Fd, digest: FsVerityDigest): ReturnType<typeof enableVerity> {
  for (let tries = 1; ; tries++) {
    try {
      return enableVerity(fd, digestAlgorithm(digest));
    } catch (error) {
      // A child process that was just forked holds a copy of our writing descriptor until it runs.
      if (!isErrno(error, "ETXTBSY", "EBUSY") || tries === BUSY_TRIES) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_WAIT);
    }
  }
}

function confirmDigest(fd: Fd, digest: FsVerityDigest): void {
  const measured = measureVerity(fd);
  if (measured !== undefined && fsVerityDigestFrom(measured.digest) === digest) return;
  throw new ReadFailure(
    "store-failed",
    `object ${objectPath(digest)} has another content than was written to it`,
    "check the disk and the memory of this machine",
  );
}
