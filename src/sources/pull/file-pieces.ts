/** The content of an open file in pieces, from its start. */

import { ComposefsError } from "../../core/errors.ts";
import { preadFully } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";

const PIECE_SIZE = 1 << 18;

/** Yields `size` bytes; a piece is valid until the next one is asked for. Throws `source-changed`. */
export function* readFilePieces(fd: Fd, size: number): Generator<Uint8Array, void> {
  const buffer = new Uint8Array(Math.min(size, PIECE_SIZE));
  for (let at = 0; at < size;) {
    const piece = buffer.subarray(0, Math.min(buffer.length, size - at));
    if (preadFully(fd, piece, at) !== piece.length) throw changedFile();
    yield piece;
    at += piece.length;
  }
}

/** The error for a file that is not what it was said to be. */
export function changedFile(): ComposefsError {
  return new ComposefsError(
    "source-changed",
    "Cannot import layer: a file is not what the archive says it is",
    { hint: "the storage that it lies in is damaged, or in use" },
  );
}
