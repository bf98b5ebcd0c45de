/**
 * The content of one file after the other, from pieces as they come to objects: small files in memory,
 * so that they are hashed and written in one go, large ones as they come.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { ObjectSink, OpenContent } from "./object-sink.ts";

/** Files up to this size are collected in memory. */
const COLLECT_MAX = 1 << 20;

/** Makes objects, one at a time. */
export class ContentCollector {
  readonly #sink: ObjectSink;
  readonly #buffer = new Uint8Array(COLLECT_MAX);
  #size = 0;
  #filled = 0;
  #large: OpenContent | undefined;
  #digest: FsVerityDigest | undefined;

  constructor(sink: ObjectSink) {
    this.#sink = sink;
  }

  /** Starts a file of `size` bytes. */
  begin(size: number): void {
    this.#size = size;
    this.#filled = 0;
    this.#digest = undefined;
    this.#large = size > COLLECT_MAX ? this.#sink.begin(size) : undefined;
  }

  /** Takes the next bytes of the file; nothing is kept of them. */
  write(bytes: Uint8Array): void {
    if (this.#large !== undefined) {
      this.#large.write(bytes);
      return;
    }
    if (bytes.length === this.#size) {
      // Most files come whole, and need no copy.
      this.#digest = this.#sink.put(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** Ends the file; all of it has come. */
  end(): FsVerityDigest {
    if (this.#large !== undefined) {
      const digest = this.#large.finish();
      this.#large = undefined;
      return digest;
    }
    return this.#digest ?? this.#sink.put(this.#buffer.subarray(0, this.#filled));
  }

  /** Drops a file that has not come to its end. */
  discard(): void {
    this.#large?.abort();
    this.#large = undefined;
  }
}
