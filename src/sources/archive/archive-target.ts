/**
 * Writes an image to an OCI layout in an archive. The archive is written beside its name and gets it when
 * it is whole: there is the old one, or the new one, or none.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { EMPTY, byteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { ociDigestAlgorithm, ociDigestHex } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { tarPadding } from "../../core/tar/format.ts";
import { TAR_END, encodeTarHeader } from "../../core/tar/writer.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  fsync,
  ftruncate,
  lstatatIfExists,
  openat,
  pwriteFully,
} from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import {
  createTemporaryFile,
  discardTemporaryFile,
  nameTemporaryFile,
} from "../../floor/temporary-file.ts";
import type { TemporaryFile } from "../../floor/temporary-file.ts";
import { sha256Digest } from "../sha256-digest.ts";
import type { ImageTarget } from "../image-source.ts";
import { OCI_LAYOUT_CONTENT, addIndexEntries } from "../layout/index-entries.ts";
import type { IndexEntry } from "../layout/index-entries.ts";
import { verifyContent } from "../verify-content.ts";

const MODE = 0o644;
const DIRECTORY_MODE = 0o755;

/** Starts an archive. Throws `output-failed` where the name is taken by what is no file, SyscallError. */
export function openArchiveTarget(
  path: ByteString,
  tag: string | undefined,
  name: string,
): ImageTarget {
  const slash = path.lastIndexOf("/");
  const directory = slash < 0 ? "." : path.slice(0, slash + 1);
  const dirfd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    const fileName = path.slice(slash + 1);
    const old = lstatatIfExists(dirfd, fileName === "" ? "." : fileName);
    if (old !== undefined && (old.mode & 0o170000) !== 0o100000) {
      throw new ComposefsError(
        "output-failed",
        `Cannot write image to "${name}": there is something of this name, and it is not a file`,
      );
    }
    const file = createTemporaryFile(dirfd, 0o666);
    return new ArchiveTarget(dirfd, fileName, file, tag, name);
  } catch (error) {
    close(dirfd);
    throw error;
  }
}

class ArchiveTarget implements ImageTarget {
  readonly name: string;
  readonly #dirfd: Fd;
  readonly #fileName: string;
  readonly #file: TemporaryFile;
  readonly tag: string | undefined;
  readonly #entries: IndexEntry[] = [];
  readonly #written = new Set<OciDigest>();
  readonly #directories = new Set<string>();
  /** Where the next member begins. */
  #size = 0;
  /** One member is written after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #isOpen = true;

  constructor(
    dirfd: Fd,
    fileName: string,
    file: TemporaryFile,
    tag: string | undefined,
    name: string,
  ) {
    this.name = name;
    this.#dirfd = dirfd;
    this.#fileName = fileName;
    this.#file = file;
    this.tag = tag;
    this.#putFile("oci-layout", OCI_LAYOUT_CONTENT);
  }

  async hasBlob({ digest }: Descriptor): Promise<boolean> {
    return this.#written.has(digest);
  }

  putBlob(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#inTurn(() => this.#putBlob(descriptor, content));
  }

  async putManifest(bytes: Uint8Array, mediaType: string, tag?: string): Promise<OciDigest> {
    const digest = sha256Digest(bytes);
    await this.#inTurn(async () => {
      if (!this.#written.has(digest)) this.#putFile(this.#blobPath(digest), bytes);
      this.#written.add(digest);
    });
    this.#entries.push({ descriptor: { mediaType, digest, size: bytes.length }, tag });
    return digest;
  }

  async close(): Promise<void> {
    await this.#last;
    try {
      this.#putFile("index.json", addIndexEntries(undefined, this.#entries));
      this.#append(TAR_END);
      ftruncate(this.#file.fd, this.#size);
      fsync(this.#file.fd);
      const to = this.#dirfd;
      nameTemporaryFile(this.#file, this.#dirfd, to, this.#fileName, { replace: true });
    } catch (error) {
      await this.discard();
      throw error;
    }
    this.#isOpen = false;
    close(this.#file.fd);
    try {
      fsync(this.#dirfd);
    } finally {
      close(this.#dirfd);
    }
  }

  async discard(): Promise<void> {
    await this.#last;
    if (!this.#isOpen) return;
    this.#isOpen = false;
    discardTemporaryFile(this.#file, this.#dirfd);
    close(this.#dirfd);
  }

  async #putBlob(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#written.has(descriptor.digest)) return;
    const path = this.#blobPath(descriptor.digest);
    const start = this.#size;
    try {
      this.#header(path, descriptor.size);
      for await (const bytes of verifyContent(content, descriptor, this.name)) this.#append(bytes);
      this.#append(new Uint8Array(tarPadding(descriptor.size)));
    } catch (error) {
      // The next member takes its place.
      this.#size = start;
      throw error;
    }
    this.#written.add(descriptor.digest);
  }

  /** The name of a blob; the directories above it are written before it. */
  #blobPath(digest: OciDigest): string {
    const algorithm = ociDigestAlgorithm(digest);
    for (const directory of ["blobs/", `blobs/${algorithm}/`]) {
      if (this.#directories.has(directory)) continue;
      this.#header(directory, 0);
      this.#directories.add(directory);
    }
    return `blobs/${algorithm}/${ociDigestHex(digest)}`;
  }

  #putFile(path: string, bytes: Uint8Array): void {
    this.#header(path, bytes.length);
    this.#append(bytes);
    this.#append(new Uint8Array(tarPadding(bytes.length)));
  }

  #header(path: string, size: number): void {
    const isDirectory = path.endsWith("/");
    this.#append(
      encodeTarHeader({
        kind: isDirectory ? "directory" : "file",
        path: byteString(path),
        linkPath: EMPTY,
        mode: isDirectory ? DIRECTORY_MODE : MODE,
        uid: 0,
        gid: 0,
        uname: EMPTY,
        gname: EMPTY,
        mtime: { sec: 0n, nsec: 0 },
        size,
        major: 0,
        minor: 0,
        xattrs: new Map(),
      }),
    );
  }

  #append(bytes: Uint8Array): void {
    pwriteFully(this.#file.fd, bytes, this.#size);
    this.#size += bytes.length;
  }

  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(call);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
