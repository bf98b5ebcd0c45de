/**
 * The second index of a repository: from the SHA-256 of a content to the object that has it, so that what
 * others name by SHA-256 (tables of contents of zstd:chunked layers, ostree, podman) is found without
 * reading a file again.
 *
 * It is a cache: what is not in it, or lost, costs a download; an entry whose object is gone is no entry.
 * Records are only appended, under a lock of the file's own, and carry a checksum each. Whoever dies while
 * writing leaves at most a cut record at the end, which the next writer cuts off.
 */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { ociDigestBytes } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { kindOfMode } from "../../core/tree/node.ts";
import {
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  SyscallError,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  flock,
  fstat,
  ftruncate,
  isErrno,
  lstatatIfExists,
  nameTemporaryFile,
  openat,
  preadFully,
  pwriteFully,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";
import {
  CONTENT_INDEX_NAME,
  HEADER_SIZE,
  KEY_SIZE,
  classifyHeader,
  decodeRecord,
  encodeHeader,
  encodeRecord,
  recordSize,
} from "./format.ts";
import type { ContentEntry } from "./format.ts";
import { isAlive } from "./is-alive.ts";
import { KeyTable } from "./key-table.ts";

/** Records that are read, and at most kept before they are written, at a time. */
const BATCH = 8192;

/** Attempts to lock the file that has the name, while others replace it. */
const ATTEMPTS = 8;

/** How long others, who write for some milliseconds, may hold the lock before we go on without. */
const LOCK_MILLISECONDS = 2000;
const LOCK_POLL_MILLISECONDS = 5;

/** An open index. Close it; what was added and not flushed is lost then. */
export class ContentIndex {
  readonly #repository: RepositoryFiles;
  readonly #recordSize: number;
  #fd: Fd | undefined;
  #table = new KeyTable();
  /** Whole records of the file that are in the table. */
  #records = 0;
  #added = new Map<OciDigest, ContentEntry>();
  #isReadOnly = false;

  /** Opens the index of a repository; one that is missing or cannot be used is empty. */
  constructor(repository: RepositoryFiles) {
    this.#repository = repository;
    this.#recordSize = recordSize(repository.algorithm);
    this.#fd = this.#open();
    this.#load();
  }

  /** Records of the file, dead and torn ones too. */
  get records(): number {
    return this.#records;
  }

  /**
   * The object whose content has this SHA-256, if it is in the repository. That it has this content is
   * as sure as the index: who needs to be sure hashes it.
   */
  find(sha256: OciDigest): ContentEntry | undefined {
    const added = this.#added.get(sha256);
    if (added !== undefined) return this.#ifAlive(added);
    const key = ociDigestBytes(sha256);
    if (key.length !== KEY_SIZE) return undefined;
    for (const number of this.#table.candidates(key)) {
      const entry = this.#ifAlive(this.#read(number, key));
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** Adds an object, to be written by `flush`. What is known already is left out. */
  add(sha256: OciDigest, digest: FsVerityDigest, size: number): void {
    if (this.#isReadOnly || this.#added.has(sha256) || this.#isKnown(sha256, digest)) return;
    this.#added.set(sha256, { digest, size });
    if (this.#added.size >= BATCH) this.flush();
  }

  /**
   * Appends what was added. It is as durable as the file system makes it in time. Where the repository
   * cannot be written, or has no room, what was added is forgotten.
   */
  flush(): void {
    if (this.#added.size > 0 && !this.#isReadOnly) {
      try {
        this.#lockAndAppend();
      } catch (error) {
        // A pull that could do everything else must not fail for a cache.
        if (!(error instanceof SyscallError)) throw error;
        this.#isReadOnly = true;
      }
    }
    this.#added.clear();
  }

  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
  }

  #open(): Fd | undefined {
    const { dirfd } = this.#repository;
    for (const access of [O_RDWR, O_RDONLY]) {
      try {
        const fd = openat(dirfd, CONTENT_INDEX_NAME, access | O_NOFOLLOW | O_NONBLOCK);
        if (kindOfMode(fstat(fd).mode) === "file") return fd;
        close(fd);
        break;
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        if (error.errnoName === "ENOENT") return undefined;
      }
    }
    this.#isReadOnly = true;
    return undefined;
  }

  /** Takes the records into the table that are not there yet. */
  #load(): void {
    if (this.#fd === undefined) return;
    const kind = this.#classify(this.#fd);
    if (kind === "later") this.#isReadOnly = true;
    if (kind !== "usable") return;
    const buffer = new Uint8Array(BATCH * this.#recordSize);
    for (;;) {
      const length = preadFully(this.#fd, buffer, this.#offset(this.#records));
      const count = Math.floor(length / this.#recordSize);
      for (let index = 0; index < count; index++) {
        this.#table.add(buffer, index * this.#recordSize, this.#records + index);
      }
      this.#records += count;
      if (count < BATCH) return;
    }
  }

  #offset(record: number): number {
    return HEADER_SIZE + record * this.#recordSize;
  }

  /** A record, if it is whole and has this key. */
  #read(number: number, key: Uint8Array): ContentEntry | undefined {
    const record = new Uint8Array(this.#recordSize);
    if (preadFully(this.#fd!, record, this.#offset(number)) < record.length) return undefined;
    if (Buffer.compare(record.subarray(0, KEY_SIZE), key) !== 0) return undefined;
    return decodeRecord(record);
  }

  #isKnown(sha256: OciDigest, digest: FsVerityDigest): boolean {
    const key = ociDigestBytes(sha256);
    if (key.length !== KEY_SIZE) return true; // nothing that this index could hold
    for (const number of this.#table.candidates(key)) {
      if (this.#read(number, key)?.digest === digest) return true;
    }
    return false;
  }

  #ifAlive(entry: ContentEntry | undefined): ContentEntry | undefined {
    return entry !== undefined && isAlive(this.#repository, entry) ? entry : undefined;
  }

  /** Appends to the file that has the name now, making it first if need be. */
  #lockAndAppend(): void {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      this.#fd ??= this.#open() ?? this.#create();
      if (!lockInTime(this.#fd)) return;
      try {
        if (this.#isCurrent(this.#fd)) {
          const kind = this.#classify(this.#fd);
          if (kind === "usable") this.#append(this.#fd);
          if (kind !== "unusable") return;
          close(this.#create(true));
        }
      } finally {
        flock(this.#fd, "none", { wait: true });
      }
      // Somebody, or we ourselves, has put another file in its place.
      this.close();
      this.#table = new KeyTable();
      this.#records = 0;
    }
  }

  #classify(fd: Fd): ReturnType<typeof classifyHeader> {
    const header = new Uint8Array(HEADER_SIZE);
    preadFully(fd, header, 0);
    return classifyHeader(header, this.#repository.algorithm);
  }

  #isCurrent(fd: Fd): boolean {
    const named = lstatatIfExists(this.#repository.dirfd, CONTENT_INDEX_NAME);
    const open = fstat(fd);
    return named !== undefined && named.ino === open.ino && named.dev === open.dev;
  }

  /** Makes an empty file; one that is there is only replaced if told so. Returns the open file. */
  #create(replace = false): Fd {
    const { dirfd, algorithm } = this.#repository;
    const file = createTemporaryFile(dirfd, 0o644);
    try {
      pwriteFully(file.fd, encodeHeader(algorithm), 0);
      nameTemporaryFile(file, dirfd, dirfd, CONTENT_INDEX_NAME, { replace });
      return file.fd;
    } catch (error) {
      discardTemporaryFile(file, dirfd);
      const other = isErrno(error, "EEXIST") ? this.#open() : undefined;
      if (other === undefined) throw error;
      return other;
    }
  }

  #append(fd: Fd): void {
    this.#load();
    // What is behind the last whole record is cut: it was never finished.
    const end = this.#offset(this.#records);
    if (fstat(fd).size > end) ftruncate(fd, end);
    const fresh = [...this.#added].filter(([sha256, { digest }]) => !this.#isKnown(sha256, digest));
    const bytes = new Uint8Array(fresh.length * this.#recordSize);
    for (const [index, [sha256, entry]] of fresh.entries()) {
      const record = bytes.subarray(index * this.#recordSize, (index + 1) * this.#recordSize);
      encodeRecord(record, ociDigestBytes(sha256), entry);
    }
    pwriteFully(fd, bytes, end);
    this.#load();
  }
}

/** A process that was stopped while it wrote must not stop us. */
function lockInTime(fd: Fd): boolean {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < LOCK_MILLISECONDS; waited += LOCK_POLL_MILLISECONDS) {
    if (flock(fd, "exclusive", { wait: false })) return true;
    Atomics.wait(nobody, 0, 0, LOCK_POLL_MILLISECONDS);
  }
  return false;
}
