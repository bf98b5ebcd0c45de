/**
 * The bytes of an archive as they are pushed, and what is asked for of them: blocks, extensions, padding.
 * Whatever is taken that is not content is reported as it is taken, and counted.
 */

import { TarError } from "../errors.ts";
import { TAR_BLOCKSIZE } from "./format.ts";
import type { Trouble } from "./header.ts";
import type { TarEntry } from "./entry.ts";

/** What a `TarReader` reports. Bytes are views that are valid until the next event is asked for. */
export type TarEvent =
  /** Bytes that are not content: headers, extensions, sparse maps, padding, what follows the end. */
  | { readonly kind: "raw"; readonly bytes: Uint8Array }
  /** An entry begins; its headers have just gone by as `raw`. */
  | { readonly kind: "entry"; readonly entry: TarEntry }
  /** Content of the entry, to be put at `offset` of the file. Never empty. */
  | { readonly kind: "data"; readonly bytes: Uint8Array; readonly offset: number }
  /** All content of the entry has been reported; padding may follow as `raw`. */
  | { readonly kind: "end-of-entry" };

/** Between two events: all input is used up. */
export const MORE = undefined;
/** An event, or {@link MORE}. */
export type Step = TarEvent | typeof MORE;

/** The input of one archive. Its generators yield {@link MORE} until enough has been pushed. */
export class TarInput {
  /** No bytes follow those that are here. */
  isLast = false;
  /** Makes errors, which name the offset of the header that was marked last. */
  readonly trouble: Trouble;
  readonly #rawLimit: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bytes of the archive in front of `#bytes`. */
  #offset = 0;
  #headerOffset = 0;
  #rawSize = 0;

  /** Bytes that are not content are at most `rawLimit`. */
  constructor(rawLimit: number) {
    this.#rawLimit = rawLimit;
    this.trouble = {
      corrupt: (reason) => new TarError("corrupt-tar", this.#headerOffset, reason),
      unsupported: (reason) => new TarError("unsupported-tar", this.#headerOffset, reason),
      overLimit: (reason) =>
        new TarError(
          "tar-limit",
          this.#headerOffset,
          reason,
          "raise the limit if you trust the archive",
        ),
    };
  }

  /** Puts a chunk in the place of the last one, which is used up. */
  feed(chunk: Uint8Array): void {
    this.#offset += this.#bytes.length;
    // Views of a plain array cost a fraction of those of a subclass, such as Node's.
    this.#bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
  }

  /** A header begins here. */
  markHeader(): void {
    this.#headerOffset = this.#offset + this.#at;
  }

  /** The next `size` bytes of the archive are not pushed. */
  skip(size: number): void {
    this.#offset += size;
  }

  /** Takes what is there, at most so many bytes; none where all is used up. */
  take(most: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, Math.min(this.#at + most, this.#bytes.length));
    this.#at += bytes.length;
    return bytes;
  }

  /** Waits for more; throws where the archive ends, for the reason `cutReason`. */
  *more(cutReason: string): Generator<Step, void> {
    if (this.isLast) throw this.trouble.corrupt(cutReason);
    yield MORE;
  }

  /** Reports a block as raw and returns it; `undefined` where the archive ends in front of it. */
  *block(cutReason: string): Generator<Step, Uint8Array | undefined> {
    let block = this.take(TAR_BLOCKSIZE);
    if (block.length < TAR_BLOCKSIZE) {
      const whole = new Uint8Array(TAR_BLOCKSIZE);
      let filled = 0;
      for (; ; block = this.take(TAR_BLOCKSIZE - filled)) {
        whole.set(block, filled);
        filled += block.length;
        if (filled === TAR_BLOCKSIZE) break;
        if (filled === 0 && this.isLast) return undefined;
        yield* this.more(cutReason);
      }
      block = whole;
    }
    yield this.#raw(block);
    return block;
  }

  /** As {@link block}, where the archive must not end. */
  *fullBlock(cutReason: string): Generator<Step, Uint8Array> {
    const block = yield* this.block(cutReason);
    if (block === undefined) throw this.trouble.corrupt(cutReason);
    return block;
  }

  /** Reports `size` bytes as raw, and copies them to `copy`. */
  *pass(size: number, cutReason: string, copy?: Uint8Array): Generator<Step, void> {
    for (let done = 0; done < size;) {
      const bytes = this.take(size - done);
      if (bytes.length === 0) {
        yield* this.more(cutReason);
        continue;
      }
      copy?.set(bytes, done);
      yield this.#raw(bytes);
      done += bytes.length;
    }
  }

  /** Reports so many bytes, or those up to the end of the archive if it comes earlier. */
  *passUpToEnd(size: number): Generator<Step, void> {
    for (let done = 0; done < size;) {
      const bytes = this.take(size - done);
      if (bytes.length > 0) yield this.#raw(bytes);
      else if (this.isLast) return;
      else yield MORE;
      done += bytes.length;
    }
  }

  #raw(bytes: Uint8Array): TarEvent {
    this.#rawSize += bytes.length;
    if (this.#rawSize > this.#rawLimit) {
      throw this.trouble.overLimit(`more than ${this.#rawLimit} bytes that are not content`);
    }
    return { kind: "raw", bytes };
  }
}
