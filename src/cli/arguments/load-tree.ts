/**
 * Trees out of files: images and dumps, read with errors that name the file.
 */

import { closeSync, openSync, readSync } from "node:fs";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { formatDumpEntries } from "../../core/dump/format.ts";
import { DumpParser } from "../../core/dump/read.ts";
import type { DumpOptions } from "../../core/dump/read.ts";
import { openImage } from "../../core/erofs/reader.ts";
import { readTree } from "../../core/erofs/read-tree.ts";
import { walkImage } from "../../core/erofs/walk-image.ts";
import type { ImageEntry } from "../../core/erofs/walk-image.ts";
import type { FormatVersion } from "../../core/erofs/version.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Directory } from "../../core/tree/node.ts";
import { openFileSource } from "../../floor/file-source.ts";
import type { FileSource } from "../../floor/file-source.ts";
import { reasonOf } from "../output/reason.ts";

/** Bytes that are read from a dump at once. */
const DUMP_CHUNK = 1 << 20;

/** An image as a tree. */
export interface LoadedImage {
  readonly root: Directory;
  readonly version: FormatVersion;
}

/** Reads an image; with names, only those entries of its root directory. */
export function readImageFile(path: ByteString, filter: readonly ByteString[] = []): LoadedImage {
  return withImageFile(path, (source) => {
    const image = openImage(source);
    const toplevel = filter.length === 0 ? {} : { toplevel: new Set(filter) };
    return { root: readTree(image, toplevel), version: image.header.version };
  });
}

/**
 * Hands the entries of an image to `use`, one after the other, without a tree of them in memory; with
 * names, only those entries of its root directory.
 */
export function walkImageFile<T>(
  path: ByteString,
  filter: readonly ByteString[],
  use: (entries: Iterable<ImageEntry>) => T,
): T {
  return withImageFile(path, (source) => {
    const image = openImage(source);
    const options = filter.length === 0 ? {} : { toplevel: new Set(filter) };
    return image.wholly(() => use(walkImage(image, options)));
  });
}

/** The dump of an image in pieces. All of it is there before the first is out: a broken image has none. */
export function dumpOfImageFile(path: ByteString, filter: readonly ByteString[]): Uint8Array[] {
  return walkImageFile(path, filter, (entries) => [...formatDumpEntries(entries)]);
}

/** Opens an image for as long as `use` runs; errors of the image name the file. */
export function withImageFile<T>(path: ByteString, use: (source: FileSource) => T): T {
  let source: FileSource;
  try {
    source = openFileSource(path);
  } catch (error) {
    throw cannotOpen("image", path, error);
  }
  try {
    return use(source);
  } catch (error) {
    throw named(error, path);
  } finally {
    source.close();
  }
}

/** Reads a dump; `-` is standard input. */
export function readDumpFile(path: ByteString, options: DumpOptions): Directory {
  const parser = new DumpParser(options);
  try {
    readChunks("dump", path, (chunk) => parser.push(chunk));
    return parser.finish();
  } catch (error) {
    throw path === "-" ? error : named(error, path);
  }
}

/** Hands a file to `take` piece by piece (`-` is standard input); a piece is valid during the call. */
export function readChunks(
  what: string,
  path: ByteString,
  take: (chunk: Uint8Array) => void,
): void {
  const fd = path === "-" ? 0 : openForReading(what, path);
  try {
    const buffer = Buffer.allocUnsafe(DUMP_CHUNK);
    for (let count = -1; count !== 0;) {
      count = readSome(what, path, fd, buffer);
      if (count > 0) take(buffer.subarray(0, count));
    }
  } finally {
    if (path !== "-") closeSync(fd);
  }
}

function openForReading(what: string, path: ByteString): number {
  try {
    return openSync(Buffer.from(path, "latin1"), "r");
  } catch (error) {
    throw cannotOpen(what, path, error);
  }
}

function readSome(what: string, path: ByteString, fd: number, buffer: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, buffer);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") {
        const message = `Cannot read ${what} "${displayText(path)}": ${reasonOf(error)}`;
        throw new ComposefsError("source-unreadable", message, { cause: error });
      }
      // Standard input is shared with a process that has made it non-blocking: wait for it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** The error for a file that cannot be opened. */
export function cannotOpen(what: string, path: ByteString, error: unknown): ComposefsError {
  const message = `Cannot open ${what} "${displayText(path)}": ${reasonOf(error)}`;
  return new ComposefsError("source-unreadable", message, { cause: error });
}

/** Adds the name of the file to an error that does not know it. */
function named(error: unknown, path: ByteString): unknown {
  if (!(error instanceof ComposefsError) || error.code === "source-unreadable") return error;
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  const message = `${error.message} (in "${displayText(path)}")`;
  return new ComposefsError(error.code, message, { cause: error, ...hint });
}
