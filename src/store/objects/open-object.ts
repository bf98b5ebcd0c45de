/** An object whose content comes in pieces: hashed on the way, in memory until it is too large for that. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { pwriteFully } from "../../floor/mod.ts";
import type { TemporaryFile } from "../../floor/mod.ts";
import type { ObjectFiles } from "./object-files.ts";

/** Content up to this size is only written when it is known to be new. */
const HELD_MAX = 1 << 20;

/** What an object turned out to be. */
export interface FinishedObject {
  readonly digest: FsVerityDigest;
  /** Bytes. */
  readonly size: number;
  /** False if it was there already. */
  readonly stored: boolean;
}

/** What the staging does for its open objects. */
export interface OpenObjectOwner {
  /** Runs system calls on the store. */
  guard<T>(work: () => T): T;
  /** Stages the file that `makeFile` returns, which is only called if the object is new. */
  finish(digest: FsVerityDigest, size: number, makeFile: () => TemporaryFile): FinishedObject;
  /** Takes the hasher back. */
  release(hasher: FsVerityHasher): void;
}

/** An object that is being written. End it with `finish` or `abort`. */
export class OpenObject {
  readonly #files: ObjectFiles;
  #hasher: FsVerityHasher | undefined;
  readonly #owner: OpenObjectOwner;
  #held: Uint8Array;
  #file: TemporaryFile | undefined;
  #size = 0;

  constructor(
    files: ObjectFiles,
    hasher: FsVerityHasher,
    sizeHint: number | undefined,
    owner: OpenObjectOwner,
  ) {
    this.#files = files;
    this.#hasher = hasher;
    this.#owner = owner;
    const isLarge = sizeHint !== undefined && sizeHint > HELD_MAX;
    this.#held = new Uint8Array(isLarge ? 0 : (sizeHint ?? 0));
    if (isLarge) this.#file = owner.guard(() => files.create());
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Appends bytes; nothing is kept of `bytes` after the call. */
  write(bytes: Uint8Array): void {
    this.#openHasher().update(bytes);
    const end = this.#size + bytes.length;
    if (this.#file === undefined && end <= HELD_MAX) {
      this.#hold(bytes, end);
    } else {
      this.#owner.guard(() => pwriteFully(this.#openFile(), bytes, this.#size));
    }
    this.#size = end;
  }

  /** Ends the content. The object is staged, unless it was there already. */
  finish(): FinishedObject {
    const digest = this.#openHasher().digest();
    return this.#owner.guard(() => {
      try {
        return this.#owner.finish(digest, this.#size, () => {
          const file = { fd: this.#openFile(), name: this.#file!.name };
          this.#file = undefined;
          return file;
        });
      } finally {
        this.abort();
      }
    });
  }

  /** Removes what was written. Does nothing after `finish`. */
  abort(): void {
    if (this.#file !== undefined) this.#files.drop(this.#file);
    this.#file = undefined;
    this.#held = new Uint8Array(0);
    if (this.#hasher !== undefined) this.#owner.release(this.#hasher);
    this.#hasher = undefined;
  }

  #openHasher(): FsVerityHasher {
    if (this.#hasher === undefined) throw new TypeError("the object is finished or aborted");
    return this.#hasher;
  }

  #hold(bytes: Uint8Array, end: number): void {
    if (end > this.#held.length) {
      const larger = new Uint8Array(Math.min(HELD_MAX, Math.max(end, 2 * this.#held.length, 4096)));
      larger.set(this.#held.subarray(0, this.#size));
      this.#held = larger;
    }
    this.#held.set(bytes, this.#size);
  }

  /** The descriptor of the file, which takes what was held in memory when it is made. */
  #openFile(): TemporaryFile["fd"] {
    if (this.#file === undefined) {
      this.#file = this.#files.create();
      pwriteFully(this.#file.fd, this.#held.subarray(0, this.#size), 0);
      this.#held = new Uint8Array(0);
    }
    return this.#file.fd;
  }
}
