/** Reads and hashes parts of large files in one thread. */

import { FsVerityRangeHasher } from "../../core/fsverity/range.ts";
import { DIGEST_SIZE } from "../../core/fsverity/digest.ts";
import { blockHash, preadFully, pwriteFully } from "../../floor/mod.ts";
import { onStore } from "../../store/objects/object-failure.ts";
import { changed, describeFailure } from "./entry-failure.ts";
import type { EntryFailure, RangeReply, RangeTask, ThreadConfig } from "./tasks.ts";

/** One thread's reader, with the buffer that it uses again and again. */
export class RangeReader {
  readonly #cancelled: Int32Array;
  readonly #hasher: FsVerityRangeHasher;
  readonly #hashSize: number;
  readonly #buffer: Uint8Array;

  constructor({ algorithm, cancelled }: ThreadConfig) {
    this.#cancelled = new Int32Array(cancelled);
    this.#hasher = new FsVerityRangeHasher(blockHash(algorithm));
    this.#hashSize = DIGEST_SIZE[algorithm];
    this.#buffer = new Uint8Array(this.#hasher.unit);
  }

  /** Reads a range, hashes it, and copies it if it is to be copied. */
  read({ fd, to, offset, length }: RangeTask): RangeReply {
    const { unit } = this.#hasher;
    const hashes = new Uint8Array(Math.ceil(length / unit) * this.#hashSize);
    let failure: EntryFailure | undefined;
    try {
      for (let at = 0, out = 0; at < length; at += unit, out += this.#hashSize) {
        // The scan has failed elsewhere; nobody will ask why this range was not read.
        if (Atomics.load(this.#cancelled, 0) !== 0) throw changed();
        const part = this.#buffer.subarray(0, Math.min(unit, length - at));
        if (preadFully(fd, part, offset + at) !== part.length) throw changed();
        if (to !== undefined) onStore(() => pwriteFully(to, part, offset + at));
        this.#hasher.hashUnit(this.#buffer, part.length, hashes.subarray(out));
      }
    } catch (error) {
      failure = describeFailure(error, undefined);
    }
    return { kind: "range", hashes, failure };
  }
}
