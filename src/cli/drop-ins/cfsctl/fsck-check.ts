/**
 * The check behind `cfsctl fsck`: the same things counted, and the same words for what is wrong.
 *
 * `composefs repo fsck` looks deeper and says whom it hurts. Here streams and images are read as they lie
 * there, and whether their objects are right is told of the objects alone.
 *
 * Source of the words: composefs-rs 0.9, what its fsck prints.
 */

import { readdirSync, statSync } from "node:fs";
import type { Dirent } from "node:fs";

import { displayText } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { openImage } from "../../../core/erofs/reader.ts";
import { walkImage } from "../../../core/erofs/walk-image.ts";
import { ComposefsError } from "../../../core/errors.ts";
import { fsVerityDigestFrom } from "../../../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../../../core/fsverity/digest.ts";
import type { Decompression } from "../../../core/splitstream/mod.ts";
import {
  O_NONBLOCK,
  O_RDONLY,
  SyscallError,
  close,
  fileSourceOf,
  measureVerity,
  openat,
} from "../../../floor/mod.ts";
import type { Repository } from "../../../store/mod.ts";
import { ObjectChecker, openObjectOrFault } from "../../../store/survey/check-object.ts";
import { readObjectDirectories } from "../../../store/survey/objects.ts";
import { reasonOf } from "../../output/reason.ts";
import { readRawStream } from "./raw-stream.ts";

/** How many were looked at, and how many of them cannot be used. */
interface Count {
  checked: number;
  corrupted: number;
}

/** What was found. */
export interface FsckResult {
  hasMetadata: boolean;
  readonly objects: Count;
  readonly streams: Count;
  readonly images: Count;
  brokenLinks: number;
  missingObjects: number;
  readonly errors: string[];
}

/** Checks a repository. Throws only where its directories cannot be read. */
export async function checkAsCfsctl(
  repository: Repository,
  decompression: Decompression,
  options: { readonly metadataOnly?: boolean; readonly signal: AbortSignal },
): Promise<FsckResult> {
  const check = new Check(repository, decompression);
  if (options.metadataOnly !== true) await check.objects(options.signal);
  check.category("streams");
  check.category("images");
  return check.result;
}

/** `Not a directory (os error 20)`. */
function osError(error: unknown): string {
  const { errno = 0 } = error as { readonly errno?: number };
  return `${reasonOf(error)} (os error ${Math.abs(errno)})`;
}

class Check {
  readonly result: FsckResult = {
    hasMetadata: true, // else it could not have been opened
    objects: { checked: 0, corrupted: 0 },
    streams: { checked: 0, corrupted: 0 },
    images: { checked: 0, corrupted: 0 },
    brokenLinks: 0,
    missingObjects: 0,
    errors: [],
  };
  readonly #repository: Repository;
  readonly #decompression: Decompression;

  constructor(repository: Repository, decompression: Decompression) {
    this.#repository = repository;
    this.#decompression = decompression;
  }

  async objects(signal: AbortSignal): Promise<void> {
    const checker = new ObjectChecker(this.#repository);
    for (const directory of readObjectDirectories(this.#repository)) {
      if (directory.path === "objects") {
        this.#assertDirectories(directory.strange.map(({ path }) => path));
        continue;
      }
      const foreign = [
        ...directory.temporary.map((name) => `${directory.path}/${name}`),
        ...directory.strange.map(({ path }) => path),
      ];
      for (const path of foreign) {
        this.#count("objects", true);
        this.#report("object-invalid-name", path, "no digest of this repository");
      }
      for (const digest of directory.objects) {
        this.#count("objects", this.#isObjectBad(checker, digest));
      }
      // Lets an interrupt in.
      await new Promise((resolve) => void setImmediate(resolve));
      signal.throwIfAborted();
    }
  }

  #assertDirectories(paths: readonly string[]): void {
    const inTheWay = paths.find((path) => /^objects\/[0-9a-f]{2}$/.test(path));
    if (inTheWay === undefined) return;
    throw new ComposefsError(
      "repository-invalid",
      `Cannot check "${inTheWay}": it is no directory`,
    );
  }

  #isObjectBad(checker: ObjectChecker, digest: FsVerityDigest): boolean {
    const path = `objects/${digest.slice(0, 2)}/${digest.slice(2)}`;
    const fd = openObjectOrFault(this.#repository.dirfd, digest);
    if (typeof fd !== "number") {
      this.#report("object-open-failed", path, fd.detail);
      return true;
    }
    try {
      const fault = checker.check(fd, digest);
      if (fault === undefined) return false;
      if (fault.kind === "no-verity") {
        this.#report("object-verity-missing", path);
      } else if (fault.kind === "wrong-content") {
        const measured = measureVerity(fd)?.digest;
        const actual = measured === undefined ? checker.hash(fd) : fsVerityDigestFrom(measured);
        this.#report("object-digest-mismatch", path, `measured ${actual}`);
      } else {
        this.#report("object-verity-failed", path, fault.detail);
      }
      return true;
    } finally {
      close(fd);
    }
  }

  /** Entries, then refs. */
  category(category: "streams" | "images"): void {
    for (const entry of this.#list(category)) {
      const { name } = entry;
      if (name === "refs") continue;
      const path = `${category}/${displayText(name as ByteString)}`;
      if (!entry.isSymbolicLink()) {
        this.#count(category, true);
        this.#report("entry-not-symlink", path);
      } else {
        const state = this.#follow(`${category}/${name}`, path);
        const check = category === "streams" ? this.#stream : this.#image;
        this.#count(category, state === "broken" || (state === "there" && check.call(this, name)));
      }
    }
    this.#refs(`${category}/refs`);
  }

  #refs(directory: string): void {
    for (const entry of this.#list(directory)) {
      const path = `${directory}/${entry.name}`;
      const shown = displayText(path as ByteString);
      if (entry.isDirectory()) this.#refs(path);
      else if (entry.isSymbolicLink()) this.#follow(path, shown);
      else this.#report("unexpected-file-type", shown, entry.isFile() ? "RegularFile" : "Unknown");
    }
  }

  /** Whether a link leads to anything. */
  #follow(path: string, shown: string): "there" | "broken" | "unknown" {
    try {
      statSync(this.#path(path));
      return "there";
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        this.#report("stat-failed", shown, osError(error));
        return "unknown";
      }
    }
    this.result.brokenLinks++;
    this.#report("broken-symlink", shown);
    return "broken";
  }

  #stream(name: string): boolean {
    const shown = displayText(name as ByteString);
    const stream = readRawStream(this.#repository, name as ByteString, this.#decompression);
    if (stream === undefined) {
      this.#report("stream-open-failed", `streams/${shown}`, `Opening stream '${shown}'`);
      return true;
    }
    for (const digest of stream.objectRefs) {
      this.#need(digest, "missing-object-ref", `streams/${shown}`);
    }
    for (const { name: ref, digest } of stream.namedRefs) {
      this.#need(digest, "missing-named-ref", `streams/${shown}`, displayText(ref));
    }
    return false;
  }

  #image(name: string): boolean {
    const path = `images/${displayText(name as ByteString)}`;
    const objects = new Set<FsVerityDigest>();
    try {
      const fd = openat(this.#repository.dirfd, `images/${name}`, O_RDONLY | O_NONBLOCK);
      const source = fileSourceOf(fd, path);
      try {
        for (const { node } of walkImage(openImage(source))) {
          if (node.kind !== "file" || node.content.kind !== "external") continue;
          if (node.content.digest !== undefined) objects.add(node.content.digest);
        }
      } finally {
        source.close();
      }
    } catch (error) {
      if (error instanceof SyscallError) this.#report("image-open-failed", path, error.message);
      else if (error instanceof ComposefsError) this.#report("image-invalid", path, error.message);
      else throw error;
      return true;
    }
    for (const digest of [...objects].sort()) {
      this.#need(digest, "image-missing-object", path);
    }
    return false;
  }

  #need(digest: FsVerityDigest, kind: string, path: string, ref?: string): void {
    try {
      if (this.#repository.hasObject(digest)) return;
      this.result.missingObjects++;
      this.#report(kind, path, ...(ref === undefined ? [] : [`ref ${ref}`]), digest);
    } catch (error) {
      const what = ref === undefined ? "" : `checking named ref '${ref}': `;
      this.#report("object-check-failed", path, digest, `${what}${osError(error)}`);
    }
  }

  #count(kind: "objects" | "streams" | "images", isBad: boolean): void {
    this.result[kind].checked++;
    if (isBad) this.result[kind].corrupted++;
  }

  #report(kind: string, ...parts: readonly string[]): void {
    this.result.errors.push(`fsck: ${[kind, ...parts].join(": ")}`);
  }

  #path(path: string): Buffer {
    return Buffer.from(`${this.#repository.path}/${path}`, "latin1");
  }

  /** In byte order; none where there is no such directory. */
  #list(path: string): Dirent[] {
    if (statSync(this.#path(path), { throwIfNoEntry: false }) === undefined) return [];
    const options = { withFileTypes: true, encoding: "latin1" } as const;
    const entries = readdirSync(this.#path(path), options as { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
