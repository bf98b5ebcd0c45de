/**
 * A transaction: objects, streams, images and refs that become durable and visible together.
 *
 * In this order, so that nothing that can be found ever lacks anything:
 *
 * 1. syncfs: the content of the objects is durable. They get fs-verity, then their names.
 * 2. syncfs: the names are durable, also those that other processes have just given.
 * 3. Links of streams and images, then refs. A ref is the commit point of what it names.
 * 4. syncfs: these are durable, and `commit` returns.
 *
 * A kill in between leaves complete objects and links that no ref keeps: garbage collection takes them.
 */

import type { ByteString } from "../core/bytes/byte-string.ts";
import { displayText } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import type { FsVerityDigest } from "../core/fsverity/digest.ts";
import { isErrno, lstatatIfExists } from "../floor/mod.ts";
import type { Fd } from "../floor/mod.ts";
import { objectPath } from "../core/fsverity/digest.ts";
import { linkToEntry, linkToObject, readLink, refPath, setLink } from "./links.ts";
import type { Ref } from "./links.ts";
import { assertRefName, assertStreamId } from "./names.ts";
import type { RefKind } from "./names.ts";
import { asStoreError } from "./objects/object-failure.ts";
import { ObjectStaging } from "./objects/object-staging.ts";
import type { ObjectsConfig } from "./objects/staged-object.ts";
import { SyncHandle } from "./objects/sync-handle.ts";

interface PendingRef extends Ref {
  readonly kind: RefKind;
}

/** A transaction. End it with `commit` or `discard`; `close` it, or the repository. */
export class Transaction {
  /** Objects of this transaction that are made in this thread. */
  readonly objects: ObjectStaging;
  readonly #dirfd: Fd;
  readonly #path: ByteString;
  readonly #syncHandle: SyncHandle;
  /** What the links of entries will be, by path below the repository. */
  readonly #entries = new Map<ByteString, FsVerityDigest>();
  readonly #refs = new Map<ByteString, PendingRef>();

  readonly #onClose: (transaction: Transaction) => void;

  constructor(
    repository: { readonly dirfd: Fd; readonly path: ByteString },
    objects: ObjectsConfig,
    onClose: (transaction: Transaction) => void,
  ) {
    this.#onClose = onClose;
    this.#syncHandle = new SyncHandle(objects.dirfd);
    this.#syncHandle.open();
    this.objects = new ObjectStaging(objects, { sync: this.#syncHandle });
    this.#dirfd = repository.dirfd;
    this.#path = repository.path;
  }

  /** Stores the bytes of a splitstream, to be found as `id`; one of that name is replaced. */
  putStream(id: ByteString, bytes: Uint8Array): FsVerityDigest {
    assertStreamId(id);
    const { digest } = this.objects.put(bytes);
    this.linkStream(id, digest);
    return digest;
  }

  /** Lets the stream `id` be an object that is in the repository, or will be at `commit`. */
  linkStream(id: ByteString, digest: FsVerityDigest): void {
    assertStreamId(id);
    this.#entries.set(`streams/${id}` as ByteString, digest);
  }

  /** Stores an EROFS image, to be found by its digest. */
  putImage(bytes: Uint8Array): FsVerityDigest {
    const { digest } = this.objects.put(bytes);
    this.linkImage(digest);
    return digest;
  }

  /** Lets an object that is in the repository, or will be at `commit`, be an image that may be mounted. */
  linkImage(digest: FsVerityDigest): void {
    this.#entries.set(`images/${digest}` as ByteString, digest);
  }

  /**
   * Lets a ref name a stream (by its id) or an image (by its digest), which is in the repository or will
   * be at `commit`. One of that name is replaced.
   */
  setRef(kind: RefKind, name: ByteString, target: ByteString): void {
    assertRefName(name);
    assertStreamId(target);
    this.#refs.set(refPath(kind, name), { kind, name, target });
  }

  /**
   * Makes everything so far durable and visible. May be called again: the transaction goes on.
   *
   * @throws ComposefsError `store-failed`, `verity-missing`; `object-missing` for a link, and
   *   `not-in-repository` for a ref, to what is not there.
   */
  async commit(): Promise<void> {
    const { objects } = this;
    const entries = new Map(this.#entries);
    const refs = new Map(this.#refs);
    await objects.publishInBackground();
    const hasLinks = entries.size + refs.size > 0;
    if (!hasLinks && objects.unsyncedNames === 0) return;
    await objects.sync();
    if (!hasLinks) return;
    this.#setLinks(entries, refs);
    await objects.sync();
    // What was added meanwhile is for the next commit.
    for (const [path, digest] of entries) {
      if (this.#entries.get(path) === digest) this.#entries.delete(path);
    }
    for (const [path, ref] of refs) if (this.#refs.get(path) === ref) this.#refs.delete(path);
  }

  /** Forgets everything since the last `commit`. Objects that have their names stay as garbage. */
  discard(): void {
    this.objects.discard();
    this.#entries.clear();
    this.#refs.clear();
  }

  /** Discards, and frees what belongs to it. */
  close(): void {
    this.discard();
    this.#syncHandle.close();
    this.#onClose(this);
  }

  #setLinks(
    entries: ReadonlyMap<ByteString, FsVerityDigest>,
    refs: ReadonlyMap<ByteString, PendingRef>,
  ): void {
    for (const digest of entries.values()) this.#assertObject(digest);
    for (const { kind, target } of refs.values()) this.#assertEntry(kind, target, entries);
    for (const [path, digest] of entries) this.#setLink(path, linkToObject(digest));
    // The commit point: from here on the new state is found by its names.
    for (const [path, ref] of refs) this.#setLink(path, linkToEntry(ref));
  }

  #assertObject(digest: FsVerityDigest): void {
    const { dirfd } = this.objects.config;
    if (lstatatIfExists(dirfd, objectPath(digest)) !== undefined) return;
    throw this.#failure("object-missing", `there is no object ${digest}`);
  }

  #assertEntry(
    kind: RefKind,
    target: ByteString,
    entries: ReadonlyMap<ByteString, FsVerityDigest>,
  ): void {
    const path = `${kind}/${target}` as ByteString;
    if (entries.has(path) || readLink(this.#dirfd, path) !== undefined) return;
    const what = kind === "streams" ? "stream" : "image";
    throw this.#failure("not-in-repository", `there is no ${what} "${displayText(target)}"`);
  }

  #setLink(path: ByteString, link: ByteString): void {
    try {
      setLink(this.#dirfd, path, link);
    } catch (error) {
      if (!isErrno(error, "ENOTDIR", "EISDIR")) throw asStoreError(this.#path, error);
      // A ref cannot be a directory of refs as well.
      const reason = `"${displayText(path)}" is in the way of another name, or another name of it`;
      throw this.#failure("repository-conflict", reason);
    }
  }

  #failure(code: ComposefsError["code"], reason: string): ComposefsError {
    return new ComposefsError(
      code,
      `Cannot commit to repository "${displayText(this.#path)}": ${reason}`,
    );
  }
}
