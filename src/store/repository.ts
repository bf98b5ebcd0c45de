/**
 * A repository: a thin holder over its open directory, its metadata and its lock.
 *
 * The lock is a shared one for as long as the repository is open; what removes things takes an exclusive
 * one. The layout is that of composefs-rs: docs/formats/repository.md.
 */

import { compareByteStrings, displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import { objectPath } from "../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../core/fsverity/digest.ts";
import { openSplitStream } from "../core/splitstream/reader.ts";
import type { SplitStream } from "../core/splitstream/reader.ts";
import {
  O_DIRECTORY,
  O_RDONLY,
  assertWritable,
  close,
  fileSourceOf,
  fsync,
  isErrno,
  lstatatIfExists,
  mkdiratIfMissing,
  openat,
} from "../floor/mod.ts";
import type { Fd } from "../floor/mod.ts";
import { readLink, readRefLink, removeRefLink } from "./links.ts";
import type { Ref } from "./links.ts";
import type { MetaFile } from "./meta-file.ts";
import { unknownFeatures } from "./metadata.ts";
import type { ErofsFormats, RepositoryMetadata } from "./metadata.ts";
import { REFS, asDigest, problemOfRefName, problemOfStreamId } from "./names.ts";
import type { RefKind } from "./names.ts";
import { openObject, openVerifiedObject, readObject } from "./objects/read-object.ts";
import type { ObjectsConfig, Verity } from "./objects/staged-object.ts";
import { openLocked } from "./open-repository.ts";
import type { OpenOptions } from "./open-repository.ts";
import { repositoryError } from "./repository-error.ts";
import { readLinks } from "./survey/links.ts";
import { objectOfLink } from "./survey/names.ts";
import { Transaction } from "./transaction.ts";

const OBJECTS = "objects" as ByteString;
const DIRECTORY_MODE = 0o755;

/** A stream, open and verified. */
export interface OpenedStream {
  readonly digest: FsVerityDigest;
  readonly stream: SplitStream;
  close(): void;
}

/** An EROFS image, open and verified. The caller closes `fd`. */
export interface OpenedImage {
  readonly digest: FsVerityDigest;
  readonly fd: Fd;
  /** Bytes. */
  readonly size: number;
  /** Whether the kernel checks each read against the digest. */
  readonly isEnforced: boolean;
}

/** An open repository. */
export class Repository {
  readonly path: ByteString;
  /** The directory, which also holds the lock. */
  readonly dirfd: Fd;
  readonly metadata: RepositoryMetadata;
  /** What is enforced here. */
  readonly verity: Verity;
  readonly #formats: ErofsFormats | undefined;
  #objectsFd: Fd | undefined;
  readonly #transactions = new Set<Transaction>();

  /**
   * Opens a repository and takes its lock.
   *
   * @throws ComposefsError `repository-missing`, `repository-invalid`, `repository-conflict` (another
   *   algorithm), `repository-busy`, `verity-missing`. SyscallError.
   */
  static open(path: ByteString, options: OpenOptions = {}): Repository {
    const { dirfd, file } = openLocked(path, options);
    const repository = new Repository(path, dirfd, file, options);
    try {
      if (options.writable === true) repository.assertWritable();
      return repository;
    } catch (error) {
      repository.close();
      throw error;
    }
  }

  private constructor(path: ByteString, dirfd: Fd, file: MetaFile, options: OpenOptions) {
    this.path = path;
    this.dirfd = dirfd;
    this.metadata = file.metadata;
    this.verity = file.verity;
    this.#formats = options.formats;
  }

  get algorithm(): FsVerityAlgorithm {
    return this.metadata.algorithm;
  }

  /** The formats of the EROFS images that are made. */
  get formats(): ErofsFormats {
    return this.#formats ?? this.metadata.formats;
  }

  /** Ends the lock, transactions, and the descriptor that `objects` has handed out. */
  close(): void {
    for (const transaction of this.#transactions) transaction.close();
    if (this.#objectsFd !== undefined) close(this.#objectsFd);
    close(this.dirfd);
  }

  /**
   * Throws `repository-invalid` if a feature that we do not know forbids writing, and a SyscallError for
   * permissions and read-only mounts.
   */
  assertWritable(): void {
    const unknown = unknownFeatures(this.metadata);
    if (unknown.length > 0) {
      const names = unknown.map((one) => JSON.stringify(one)).join(", ");
      throw repositoryError("repository-invalid", "write to", this.path, `it has ${names}`, {
        hint: "it can be read; a newer version of composefs may write to it",
      });
    }
    assertWritable(this.dirfd, ".");
  }

  /** The directory of objects, for `ObjectStaging` in any thread. Throws if it is not there. */
  get objects(): ObjectsConfig {
    this.#objectsFd ??= openat(this.dirfd, OBJECTS, O_RDONLY | O_DIRECTORY);
    const { path, algorithm, verity } = this;
    return { dirfd: this.#objectsFd, path, algorithm, verity };
  }

  /** Whether there is an object of this name, with whatever content. */
  hasObject(digest: FsVerityDigest): boolean {
    return lstatatIfExists(this.dirfd, `${OBJECTS}/${objectPath(digest)}`) !== undefined;
  }

  /**
   * Opens an object; the caller closes it. With verity `required` the kernel enforces its digest; else it
   * is not verified.
   *
   * @throws ComposefsError `object-missing`, `object-corrupt`, `verity-missing`.
   */
  openObject(digest: FsVerityDigest): Fd {
    return openObject(this.#objectsToRead(digest), digest).fd;
  }

  /** The content of an object, verified. Throws as `openObject`, also for more than `maxBytes`. */
  readObject(digest: FsVerityDigest, maxBytes: number): Uint8Array {
    return readObject(this.#objectsToRead(digest), digest, maxBytes);
  }

  /** The object of a stream; `undefined` if there is no such stream. */
  streamDigest(id: ByteString): FsVerityDigest | undefined {
    if (problemOfStreamId(id) !== undefined) return undefined;
    return this.#entryDigest("streams", id);
  }

  /** Opens a stream by its id, or by a ref: `NAME` or `refs/NAME`. Throws `not-in-repository` and others. */
  openStream(idOrRef: ByteString): OpenedStream {
    const digest = this.#resolve("streams", idOrRef);
    if (digest === undefined) throw this.#missing("stream", idOrRef);
    const { fd } = openVerifiedObject(this.#objectsToRead(digest), digest);
    const source = fileSourceOf(fd, displayText(idOrRef));
    try {
      return { digest, stream: openSplitStream(source), close: () => source.close() };
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** The ids of all streams, in byte order. */
  listStreams(): ByteString[] {
    return [...readLinks(this, "streams").entries.keys()];
  }

  /** The digests of all images, in byte order. */
  listImages(): FsVerityDigest[] {
    const names = [...readLinks(this, "images").entries.keys()];
    return names.flatMap((name) => asDigest(name, this.algorithm) ?? []);
  }

  /** All refs, in byte order. */
  listRefs(kind: RefKind): Ref[] {
    const refs = readLinks(this, kind).refs.map(({ name, entry }) => ({ name, target: entry }));
    return refs.sort((a, b) => compareByteStrings(a.name, b.name));
  }

  /** What a ref points to: the id of a stream, or the digest of an image. */
  readRef(kind: RefKind, name: ByteString): ByteString | undefined {
    return problemOfRefName(name) === undefined ? readRefLink(this.dirfd, kind, name) : undefined;
  }

  /**
   * Opens an image by its digest, or by a ref: `NAME` or `refs/NAME`. What has no link in `images/` cannot be
   * opened. Throws `not-in-repository` and others.
   */
  openImage(nameOrDigest: ByteString): OpenedImage {
    const digest = this.#resolve("images", nameOrDigest);
    if (digest === undefined) throw this.#missing("image", nameOrDigest);
    return { digest, ...openVerifiedObject(this.#objectsToRead(digest), digest) };
  }

  /** Begins a transaction. Throws as `assertWritable`. */
  begin(): Transaction {
    this.assertWritable();
    if (this.#objectsFd === undefined) this.#makeObjects();
    const forget = (done: Transaction): void => void this.#transactions.delete(done);
    const transaction = new Transaction(this, this.objects, forget);
    this.#transactions.add(transaction);
    return transaction;
  }

  /** Removes a ref durably; returns false if there is none. What it named stays until it is collected. */
  removeRef(kind: RefKind, name: ByteString): boolean {
    this.assertWritable();
    return problemOfRefName(name) === undefined && removeRefLink(this.dirfd, kind, name);
  }

  #makeObjects(): void {
    if (mkdiratIfMissing(this.dirfd, OBJECTS, DIRECTORY_MODE)) fsync(this.dirfd);
  }

  /** An entry of this name, or else the entry that a ref of this name points to. */
  #resolve(kind: RefKind, name: ByteString): FsVerityDigest | undefined {
    const isEntry = problemOfStreamId(name) === undefined;
    const direct = isEntry ? this.#entryDigest(kind, name) : undefined;
    if (direct !== undefined) return direct;
    const prefix = `${REFS}/`;
    const ref = (name.startsWith(prefix) ? name.slice(prefix.length) : name) as ByteString;
    const target = this.readRef(kind, ref);
    return target === undefined || problemOfStreamId(target) !== undefined
      ? undefined
      : this.#entryDigest(kind, target);
  }

  #entryDigest(kind: RefKind, name: ByteString): FsVerityDigest | undefined {
    const link = readLink(this.dirfd, `${kind}/${name}` as ByteString);
    if (link === undefined) return undefined;
    const digest = objectOfLink(link, this.algorithm);
    if (digest !== undefined && (kind === "streams" || digest === (name as string))) return digest;
    const reason = `"${kind}/${displayText(name)}" points to "${displayText(link)}", which is no object of its`;
    throw repositoryError("repository-invalid", "read", this.path, reason);
  }

  #objectsToRead(digest: FsVerityDigest): ObjectsConfig {
    try {
      return this.objects;
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      throw new ComposefsError(
        "object-missing",
        `Cannot read object ${digest} of "${displayText(this.path)}": it has no objects`,
      );
    }
  }

  #missing(what: "stream" | "image", name: ByteString): ComposefsError {
    const reason = `there is no ${what} "${displayText(name)}"`;
    return repositoryError("not-in-repository", "read", this.path, reason);
  }
}
