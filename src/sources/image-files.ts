/**
 * The files that an image on disk consists of, by their names: of a directory, or of an archive that is
 * never unpacked.
 */

import { read } from "node:fs";
import { ComposefsError } from "../core/errors.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { displayText } from "../core/bytes/byte-string.ts";
import type { Fd } from "../floor/file.ts";

/** A range of an open file. */
export interface FilePart {
  readonly fd: Fd;
  readonly offset: number;
  readonly size: number;
}

/** One file, open. */
export interface OpenFilePart extends FilePart {
  close(): void;
}

/** Named files. */
export interface ImageFiles {
  /** For people. */
  readonly name: string;
  /** Opens a file for reading; `undefined` where there is none. Throws `corrupt-archive` for what is no file. */
  open(path: ByteString): OpenFilePart | undefined;
  close(): void;
}

/** Bytes read at a time. */
const PIECE = 1 << 20;

/** Yields a part of a file, in pieces that are the caller's; the next is read while one is used. */
export async function* readFilePart(
  part: FilePart,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { fd, offset, size } = part;
  let next = size > 0 ? readPiece(fd, offset, Math.min(PIECE, size)) : undefined;
  try {
    for (let done = 0; next !== undefined;) {
      signal?.throwIfAborted();
      const bytes = await next;
      if (bytes.length === 0) {
        throw new ComposefsError("source-changed", "Cannot read image: a file became shorter");
      }
      done += bytes.length;
      next = done < size ? readPiece(fd, offset + done, Math.min(PIECE, size - done)) : undefined;
      yield bytes;
    }
  } finally {
    // The descriptor may be closed after this: nothing must still be reading from it.
    await next?.catch(() => undefined);
  }
}

/** Reads a file of at most `maxSize` bytes; `undefined` where there is none. */
export async function readImageFile(
  files: ImageFiles,
  path: ByteString,
  maxSize: number,
): Promise<Uint8Array | undefined> {
  const part = files.open(path);
  if (part === undefined) return undefined;
  try {
    if (part.size > maxSize) {
      throw corruptArchive(
        files.name,
        `${displayText(path)} has ${part.size} bytes, more than ${maxSize}`,
      );
    }
    const pieces: Uint8Array[] = [];
    for await (const bytes of readFilePart(part)) pieces.push(bytes);
    return Buffer.concat(pieces);
  } finally {
    part.close();
  }
}

/** The error for an archive or layout that contradicts itself. */
export function corruptArchive(name: string, reason: string, cause?: unknown): ComposefsError {
  return new ComposefsError(
    "corrupt-archive",
    `Cannot read image "${name}": ${reason}`,
    cause === undefined ? {} : { cause },
  );
}

function readPiece(fd: Fd, offset: number, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const buffer = new Uint8Array(length);
    read(fd, buffer, 0, length, offset, (error, count) => {
      if (error === null) resolve(count === length ? buffer : buffer.subarray(0, count));
      else reject(error);
    });
  });
}
