/**
 * Opens the archive of an image. One that is compressed, or comes through a pipe, is copied to a file
 * without a name first, since its parts are read in another order than they lie in.
 */

import { createReadStream } from "node:fs";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { LayerCompression } from "../../core/oci/media-type.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  fstat,
  openat,
  preadFully,
  pwriteFully,
} from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import { createTemporaryFile, discardTemporaryFile } from "../../floor/temporary-file.ts";
import { decompressLayer, detectCompression } from "../decompress.ts";
import { corruptArchive, readFilePart } from "../image-files.ts";
import type { ImageFiles } from "../image-files.ts";
import { ArchiveIndex } from "./archive-index.ts";

/** Options of {@link openArchiveFiles}. */
export interface ArchiveOptions {
  /** Where a compressed archive is copied to; `/var/tmp`, which is on a disk, unless told. */
  readonly temporaryDirectory?: ByteString | undefined;
  /** Most bytes that a compressed archive may have without its compression. */
  readonly archiveSizeMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const TEMPORARY_DIRECTORY = "/var/tmp" as ByteString;
const ARCHIVE_SIZE_MAX = 2 ** 36;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** The magic of every compression is shorter. */
const MAGIC_SIZE = 6;

/** Opens an archive. Throws `corrupt-archive`, `tar-limit`, TarError. */
export async function openArchiveFiles(
  path: ByteString,
  name: string,
  options: ArchiveOptions = {},
): Promise<ImageFiles> {
  const fd = openat(AT_FDCWD, path, O_RDONLY);
  let owned = fd;
  try {
    const plain = await asPlainFile(fd, name, options);
    if (plain !== fd) close(fd);
    owned = plain;
    const index = new ArchiveIndex(plain, fstat(plain).size, name);
    return {
      name,
      open(file) {
        const part = index.find(file);
        return part === undefined ? undefined : { ...part, close: () => undefined };
      },
      close: () => close(plain),
    };
  } catch (error) {
    close(owned);
    throw error;
  }
}

/** Returns `fd`, or another descriptor of a file that can be read at any place. */
async function asPlainFile(fd: Fd, name: string, options: ArchiveOptions): Promise<Fd> {
  const { mode, size } = fstat(fd);
  if ((mode & S_IFMT) !== S_IFREG) {
    const content = readStream(fd, options.signal);
    const taken = await takeStart(content);
    return spool(chain(taken, content), known(Buffer.concat(taken), name), options);
  }
  const start = new Uint8Array(MAGIC_SIZE);
  const compression = known(start.subarray(0, preadFully(fd, start, 0)), name);
  if (compression === "none") return fd;
  return spool(readFilePart({ fd, offset: 0, size }, options.signal), compression, options);
}

function known(start: Uint8Array, name: string): LayerCompression {
  const compression = detectCompression(start);
  if (compression !== undefined) return compression;
  throw corruptArchive(name, "it is compressed with bzip2 or xz, which is not known here");
}

async function spool(
  content: AsyncIterable<Uint8Array>,
  compression: LayerCompression,
  options: ArchiveOptions,
): Promise<Fd> {
  const max = options.archiveSizeMax ?? ARCHIVE_SIZE_MAX;
  const directory = options.temporaryDirectory ?? TEMPORARY_DIRECTORY;
  const dirfd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  const file = createTemporaryFile(dirfd, 0o600);
  try {
    let size = 0;
    for await (const bytes of decompressLayer(content, compression)) {
      if (size + bytes.length > max) {
        throw new ComposefsError(
          "tar-limit",
          `Cannot read archive: it has more than ${max} bytes without its compression`,
          { hint: "decompress it yourself if you trust it" },
        );
      }
      pwriteFully(file.fd, bytes, size);
      size += bytes.length;
    }
    const fd = openat(AT_FDCWD, `/proc/self/fd/${file.fd}`, O_RDONLY);
    discardTemporaryFile(file, dirfd);
    return fd;
  } catch (error) {
    discardTemporaryFile(file, dirfd);
    throw error;
  } finally {
    close(dirfd);
  }
}

/** What is no regular file, from where it stands. */
async function* readStream(fd: Fd, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const stream = createReadStream("", { fd, autoClose: false, highWaterMark: 1 << 20 });
  for await (const bytes of stream) {
    signal?.throwIfAborted();
    yield bytes as Uint8Array;
  }
}

/** Takes as many pieces as hold the magic of a compression. */
async function takeStart(content: AsyncIterator<Uint8Array>): Promise<Uint8Array[]> {
  const taken: Uint8Array[] = [];
  for (let size = 0; size < MAGIC_SIZE;) {
    const next = await content.next();
    if (next.done === true) break;
    taken.push(next.value);
    size += next.value.length;
  }
  return taken;
}

async function* chain(
  first: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  yield* first;
  yield* rest;
}
