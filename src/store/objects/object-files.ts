/** Files on their way to become objects: made without a name, filled by reflink or by a copy. */

import {
  FileStat,
  cloneFile,
  createTemporaryFile,
  discardTemporaryFile,
  fchmod,
  fstat,
  ftruncate,
  linkTemporaryFile,
  preadFully,
  pwriteFully,
} from "../../floor/mod.ts";
import type { Fd, TemporaryFile } from "../../floor/mod.ts";
import { OBJECT_MODE } from "./object-publisher.ts";

/** Bytes of a reflinked file that are compared at a time. */
const COMPARE_SIZE = 1 << 18;

/** After so many files in a row whose extents cannot be shared no other is tried. */
const CLONE_TRIES = 32;

/** Makes the files of one directory of objects, in one thread. */
export class ObjectFiles {
  readonly #dirfd: Fd;
  readonly #stat = new FileStat();
  #compareBuffer: Buffer | undefined;
  /** In a row. */
  #failedClones = 0;
  /** Whether a new file here has its mode at once; not known before the first. */
  #modeIsRight: boolean | undefined;

  constructor(dirfd: Fd) {
    this.#dirfd = dirfd;
  }

  /** Makes an empty file. */
  create(): TemporaryFile {
    const file = createTemporaryFile(this.#dirfd, OBJECT_MODE);
    try {
      this.#modeIsRight ??= (fstat(file.fd, this.#stat).mode & 0o7777) === OBJECT_MODE;
      if (!this.#modeIsRight) fchmod(file.fd, OBJECT_MODE);
    } catch (error) {
      this.drop(file);
      throw error;
    }
    return file;
  }

  /**
   * Makes a file that holds `data`; `source`, where there is one, is the file it was read from, to share
   * extents with.
   */
  createFrom(
    data: Uint8Array,
    source: Fd | undefined,
  ): { file: TemporaryFile; how: "reflinked" | "copied" } {
    const file = this.create();
    try {
      if (source !== undefined && this.clone(source, file)) {
        if (this.#holds(file.fd, data)) return { file, how: "reflinked" };
        ftruncate(file.fd, 0);
      }
      pwriteFully(file.fd, data, 0);
      return { file, how: "copied" };
    } catch (error) {
      this.drop(file);
      throw error;
    }
  }

  /** Lets `file` share all extents of `source`; false if that is not possible. */
  clone(source: Fd, file: TemporaryFile): boolean {
    if (this.#failedClones === CLONE_TRIES) return false;
    const cloned = cloneFile(source, file.fd);
    this.#failedClones = cloned ? 0 : this.#failedClones + 1;
    return cloned;
  }

  /** The file itself under a temporary name; `undefined` if that is not possible. */
  link(source: Fd): TemporaryFile | undefined {
    return linkTemporaryFile(source, this.#dirfd);
  }

  /** Removes a file that is not wanted. */
  drop(file: TemporaryFile): void {
    discardTemporaryFile(file, this.#dirfd);
  }

  /** A source may change between reading and reflinking; what was hashed is what counts. */
  #holds(fd: Fd, data: Uint8Array): boolean {
    if (fstat(fd, this.#stat).size !== data.length) return false;
    this.#compareBuffer ??= Buffer.allocUnsafeSlow(COMPARE_SIZE);
    for (let at = 0; at < data.length; at += COMPARE_SIZE) {
      const part = this.#compareBuffer.subarray(0, Math.min(COMPARE_SIZE, data.length - at));
      if (preadFully(fd, part, at) !== part.length) return false;
      if (part.compare(data, at, at + part.length) !== 0) return false;
    }
    return true;
  }
}
