/**
 * Gives complete, durable objects fs-verity and their names.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { digestAlgorithm, objectPath } from "../../core/fsverity/digest.ts";
import {
  AT_FDCWD,
  O_RDONLY,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  fchmod,
  isErrno,
  mkdiratIfMissing,
  nameTemporaryFile,
  openat,
  preadFully,
  pwriteFully,
} from "../../floor/mod.ts";
import type { Fd, enableVerity } from "../../floor/mod.ts";
import { enableVerityWhenFree } from "./enable-verity.ts";
import { glanceAtObject, measuredDigest } from "./find-object.ts";
import { ObjectFailure, asObjectFailure } from "./object-failure.ts";
import type { StagedObject, Verity } from "./staged-object.ts";
import { SyncHandle } from "./sync-handle.ts";

/** The mode of every object, whatever the source's and the umask. */
export const OBJECT_MODE = 0o644;

const PREFIX_MODE = 0o755;

/** Bytes that are copied at a time. */
const COPY_SIZE = 1 << 20;

/** How a batch of objects went. */
export interface Published {
  /** How many objects have their names. */
  readonly done: number;
  /** Why the next one has none. */
  readonly failure: ObjectFailure | undefined;
}

/** Publishes objects in one thread. */
export class ObjectPublisher {
  readonly #dirfd: Fd;
  readonly #verity: Verity;
  /** Whether the store's file system has fs-verity; not known before the first object. */
  #verityWorks: boolean | undefined;

  constructor(store: { readonly dirfd: Fd; readonly verity: Verity }) {
    this.#dirfd = store.dirfd;
    this.#verity = store.verity;
  }

  /**
   * Publishes objects whose content is durable; closes all of them, also those that it could not
   * publish. Their names are durable after a sync, which is the caller's.
   */
  publish(objects: readonly StagedObject[]): Published {
    let done = 0;
    let failure: ObjectFailure | undefined;
    for (const object of objects) {
      if (failure !== undefined) {
        discardTemporaryFile(object, this.#dirfd);
        continue;
      }
      try {
        this.#publishOne(object);
        done++;
      } catch (error) {
        failure = asObjectFailure(error);
      }
    }
    return { done, failure };
  }

  #publishOne(object: StagedObject): void {
    const sealed = this.#verityWorks === false ? object : this.#seal(object);
    try {
      if (this.#name(sealed)) close(sealed.fd);
      else discardTemporaryFile(sealed, this.#dirfd);
    } catch (error) {
      discardTemporaryFile(sealed, this.#dirfd);
      throw error;
    }
  }

  /** Returns false if there is such an object already, which is as good. */
  #name(object: StagedObject): boolean {
    const dirfd = this.#dirfd;
    const path = objectPath(object.digest);
    for (;;) {
      try {
        nameTemporaryFile(object, dirfd, dirfd, path, { replace: false });
        return true;
      } catch (error) {
        if (isErrno(error, "ENOENT")) {
          mkdiratIfMissing(dirfd, object.digest.slice(0, 2), PREFIX_MODE);
          continue;
        }
        if (!isErrno(error, "EEXIST")) throw error;
      }
      // Another process was faster; what it wrote has the same name, so it has the same content.
      // A damaged object is repaired: ours was hashed.
      switch (glanceAtObject(dirfd, object.digest, object.size, this.#verity)) {
        case "present":
          return false;
        case "damaged":
          nameTemporaryFile(object, dirfd, dirfd, path, { replace: true });
          return true;
        case "missing":
      }
    }
  }

  /**
   * Enables fs-verity where the file system has it, and lets the kernel confirm the digest. The file
   * must not be open for writing then, so it goes on with a descriptor of its own.
   */
  #seal(object: StagedObject): StagedObject {
    let sealed = this.#reopen(object);
    try {
      let outcome = enableOrBusy(sealed.fd, object.digest);
      // A linked file may have fs-verity of other parameters already, which stays.
      const isOther = outcome === "already" && measuredDigest(sealed.fd) !== object.digest;
      if (outcome === "busy" || isOther) {
        sealed = this.#reopen(this.#copy(sealed));
        outcome = enableOrBusy(sealed.fd, object.digest);
      }
      if (outcome === "busy") throw new ObjectFailure("another process keeps it open for writing");
      this.#verityWorks = outcome !== "unsupported";
      if (this.#verityWorks) confirmDigest(sealed.fd, object.digest);
      else if (this.#verity === "required") throw verityUnsupported();
      return sealed;
    } catch (error) {
      discardTemporaryFile(sealed, this.#dirfd);
      throw error;
    }
  }

  #reopen(object: StagedObject): StagedObject {
    try {
      const fd = openat(AT_FDCWD, `/proc/self/fd/${object.fd}`, O_RDONLY);
      close(object.fd);
      return { ...object, fd };
    } catch (error) {
      discardTemporaryFile(object, this.#dirfd);
      throw error;
    }
  }

  /** A file of its own for an object whose file somebody else has open, and durable as that was. */
  #copy(object: StagedObject): StagedObject {
    const sync = new SyncHandle(this.#dirfd);
    sync.open();
    const file = createTemporaryFile(this.#dirfd, OBJECT_MODE);
    try {
      fchmod(file.fd, OBJECT_MODE);
      const buffer = new Uint8Array(Math.min(COPY_SIZE, object.size));
      for (let at = 0; at < object.size; at += buffer.length) {
        const part = buffer.subarray(0, preadFully(object.fd, buffer, at));
        pwriteFully(file.fd, part, at);
        if (part.length < buffer.length) break;
      }
      sync.sync();
    } catch (error) {
      discardTemporaryFile(file, this.#dirfd);
      throw error;
    } finally {
      sync.close();
    }
    discardTemporaryFile(object, this.#dirfd);
    return { ...object, ...file };
  }
}

function enableOrBusy(fd: Fd, digest: FsVerityDigest): ReturnType<typeof enableVerity> | "busy" {
  try {
    return enableVerityWhenFree(fd, digestAlgorithm(digest));
  } catch (error) {
    if (isErrno(error, "ETXTBSY", "EBUSY")) return "busy";
    throw error;
  }
}

function confirmDigest(fd: Fd, digest: FsVerityDigest): void {
  if (measuredDigest(fd) === digest) return;
  throw new ObjectFailure(
    `object ${objectPath(digest)} has another content than was written to it`,
    { hint: "check the disk and the memory of this machine" },
  );
}

function verityUnsupported(): ObjectFailure {
  return new ObjectFailure("fs-verity is required, and the file system does not support it", {
    code: "verity-missing",
  });
}
