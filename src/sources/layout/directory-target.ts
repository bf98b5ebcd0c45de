/**
 * Writes images to an OCI layout directory. A blob gets its name when it is whole, verified and on the
 * disk; the index, which makes images visible, is replaced at the end. Whenever it is cut off, the layout
 * is the old or the new one, with perhaps some blobs more.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { ociDigestAlgorithm, ociDigestHex } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { createAtomicFile } from "../../floor/atomic-file.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  fsync,
  lstatatIfExists,
  openat,
  pwriteFully,
} from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import { mkdiratIfMissing } from "../../floor/names.ts";
import { flock } from "../../floor/lock.ts";
import { readDirectory } from "../../floor/read-directory.ts";
import {
  createTemporaryFile,
  discardTemporaryFile,
  nameTemporaryFile,
} from "../../floor/temporary-file.ts";
import { sha256Digest } from "../sha256-digest.ts";
import type { ImageTarget } from "../image-source.ts";
import { verifyContent } from "../verify-content.ts";
import { OCI_LAYOUT_CONTENT, addIndexEntries } from "./index-entries.ts";
import type { IndexEntry } from "./index-entries.ts";
import { openDirectoryFiles } from "./directory-files.ts";
import { readImageFile } from "../image-files.ts";

const MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const INDEX_SIZE_MAX = 1 << 24;
const INDEX_JSON = "index.json" as ByteString;
const OCI_LAYOUT = "oci-layout" as ByteString;

/** Opens a directory for writing, and makes it where there is none. Throws `output-failed`, SyscallError. */
export function openLayoutTarget(
  path: ByteString,
  tag: string | undefined,
  name: string,
): ImageTarget {
  mkdiratIfMissing(AT_FDCWD, path, DIRECTORY_MODE);
  const dirfd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  try {
    if (lstatatIfExists(dirfd, OCI_LAYOUT) === undefined) startLayout(dirfd, path, name);
    mkdiratIfMissing(dirfd, "blobs", DIRECTORY_MODE);
  } catch (error) {
    close(dirfd);
    throw error;
  }
  return new DirectoryTarget(dirfd, path, tag, name);
}

class DirectoryTarget implements ImageTarget {
  readonly name: string;
  readonly #dirfd: Fd;
  readonly #path: ByteString;
  readonly tag: string | undefined;
  readonly #entries: IndexEntry[] = [];
  readonly #blobDirectories = new Map<string, Fd>();
  #isOpen = true;

  constructor(dirfd: Fd, path: ByteString, tag: string | undefined, name: string) {
    this.name = name;
    this.#dirfd = dirfd;
    this.#path = path;
    this.tag = tag;
  }

  async hasBlob({ digest, size }: Descriptor): Promise<boolean> {
    const stat = lstatatIfExists(this.#blobs(digest), ociDigestHex(digest));
    return stat !== undefined && (stat.mode & 0o170000) === 0o100000 && stat.size === size;
  }

  async putBlob(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> {
    const dirfd = this.#blobs(descriptor.digest);
    const file = createTemporaryFile(dirfd, MODE);
    try {
      let size = 0;
      for await (const bytes of verifyContent(content, descriptor, this.name)) {
        pwriteFully(file.fd, bytes, size);
        size += bytes.length;
      }
      fsync(file.fd);
      // What has the name may be cut: it is replaced.
      nameTemporaryFile(file, dirfd, dirfd, ociDigestHex(descriptor.digest), { replace: true });
    } catch (error) {
      discardTemporaryFile(file, dirfd);
      throw error;
    }
    close(file.fd);
  }

  async putManifest(bytes: Uint8Array, mediaType: string, tag?: string): Promise<OciDigest> {
    const digest = sha256Digest(bytes);
    const descriptor = { mediaType, digest, size: bytes.length };
    const content = (async function* () {
      yield bytes;
    })();
    await this.putBlob({ ...descriptor, annotations: {} }, content);
    this.#entries.push({ descriptor, tag });
    return digest;
  }

  async close(): Promise<void> {
    try {
      for (const dirfd of this.#blobDirectories.values()) fsync(dirfd);
      await this.#writeIndex();
    } finally {
      await this.discard();
    }
  }

  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const dirfd of this.#blobDirectories.values()) close(dirfd);
    this.#blobDirectories.clear();
    close(this.#dirfd);
  }

  async #writeIndex(): Promise<void> {
    // Against others of our own; no other tool locks a layout.
    flock(this.#dirfd, "exclusive", { wait: true });
    const files = openDirectoryFiles(this.#path, this.name);
    try {
      const old = await readImageFile(files, INDEX_JSON, INDEX_SIZE_MAX);
      const index = addIndexEntries(old, this.#entries);
      writeFile(`${this.#path}/${INDEX_JSON}`, index);
    } finally {
      files.close();
    }
  }

  #blobs(digest: OciDigest): Fd {
    const algorithm = ociDigestAlgorithm(digest);
    let dirfd = this.#blobDirectories.get(algorithm);
    if (dirfd === undefined) {
      mkdiratIfMissing(this.#dirfd, `blobs/${algorithm}`, DIRECTORY_MODE);
      dirfd = openat(this.#dirfd, `blobs/${algorithm}`, O_RDONLY | O_DIRECTORY);
      this.#blobDirectories.set(algorithm, dirfd);
    }
    return dirfd;
  }
}

/** Of an empty directory, or one where this was cut off, makes a layout. */
function startLayout(dirfd: Fd, path: ByteString, name: string): void {
  const foreign = readDirectory(dirfd).filter((entry) => !entry.name.startsWith(".tmp"));
  if (foreign.length > 0) {
    throw new ComposefsError(
      "output-failed",
      `Cannot write image to "${name}": the directory is neither empty nor an OCI layout`,
      { hint: "choose another directory" },
    );
  }
  // First the index of nothing: a directory with the other file is a layout for every reader.
  writeFile(`${path}/${INDEX_JSON}`, addIndexEntries(undefined, []));
  writeFile(`${path}/${OCI_LAYOUT}`, OCI_LAYOUT_CONTENT);
}

function writeFile(path: string, bytes: Uint8Array): void {
  const file = createAtomicFile(path);
  try {
    file.write(bytes);
    file.commit();
  } catch (error) {
    file.discard();
    throw error;
  }
}
