/** A sparse file with its holes filled, from the pieces that an archive has of it. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { OpenContent } from "./object-sink.ts";

const ZEROS = new Uint8Array(1 << 16);

/** Writes one file. End it with `finish` or `abort`. */
export class SparseExpander {
  readonly #content: OpenContent;
  readonly #size: number;
  #at = 0;

  constructor(content: OpenContent, size: number) {
    this.#content = content;
    this.#size = size;
  }

  /** Takes the next piece of content, which lies at `offset`. */
  write(bytes: Uint8Array, offset: number): void {
    this.#fill(offset);
    this.#content.write(bytes);
    this.#at += bytes.length;
  }

  finish(): FsVerityDigest {
    this.#fill(this.#size);
    return this.#content.finish();
  }

  abort(): void {
    this.#content.abort();
  }

  #fill(end: number): void {
    while (this.#at < end) {
      const hole = ZEROS.subarray(0, Math.min(ZEROS.length, end - this.#at));
      this.#content.write(hole);
      this.#at += hole.length;
    }
  }
}
