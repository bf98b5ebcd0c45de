/**
 * Checks everything in a repository, and says who feels what is damaged.
 *
 * Objects first, by as many threads as there are processors: their digests are what all else rests on.
 * Then what refers to them. One bad thing never hides another, and never ends the check.
 */

import { availableParallelism } from "node:os";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { readLayer } from "../../core/oci/read-layer.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { SyscallError } from "../../floor/mod.ts";
import { readMetaFile } from "../meta-file.ts";
import { tagOfRef } from "../oci/names.ts";
import type { Repository } from "../repository.ts";
import type { ObjectFault } from "../survey/check-object.ts";
import { readLinks } from "../survey/links.ts";
import type { CategoryLinks, StrangeFile } from "../survey/links.ts";
import { readObjectDirectories } from "../survey/objects.ts";
import { Turns } from "../survey/turns.ts";
import { checkImage } from "./check-images.ts";
import type { CheckedImage } from "./check-images.ts";
import { checkLayerContent, checkOciImage } from "./check-oci.ts";
import { checkStream } from "./check-streams.ts";
import type { CheckedStream } from "./check-streams.ts";
import type { Checked, Finding, FindingKind, FsckReport } from "./finding.ts";
import { findHurt } from "./hurt.ts";
import { OBJECTS_AT_ONCE, ObjectPool } from "./object-pool.ts";
import { ObjectStates } from "./object-states.ts";

/** Options of {@link checkRepository}. */
export interface FsckOptions {
  readonly decompression: Decompression;
  /** Do not look into objects: only whether they are there, and what refers to them. */
  readonly metadataOnly?: boolean;
  /**
   * Also read what the kernel vouches for, put each layer together again and compare its digest, and make
   * each EROFS image again.
   */
  readonly deep?: boolean;
  /** Threads beside this one; as many as there are processors unless given. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Hears how many objects are checked. */
  readonly onProgress?: (objects: number) => void;
}

const KIND_OF_FAULT: Readonly<Record<ObjectFault["kind"], FindingKind>> = {
  missing: "object-missing",
  unreadable: "object-open-failed",
  "wrong-content": "object-digest-mismatch",
  "no-verity": "object-verity-missing",
};

/** Checks a repository. Rejects only for an abort, and where `objects/` cannot be read at all. */
export async function checkRepository(
  repository: Repository,
  options: FsckOptions,
): Promise<FsckReport> {
  return new Check(repository, options).run();
}

class Check {
  readonly #repository: Repository;
  readonly #options: FsckOptions;
  readonly #turns: Turns;
  readonly #objects = new ObjectStates();
  readonly #findings: Finding[] = [];
  readonly #counts = {
    objects: { checked: 0, damaged: 0 },
    streams: { checked: 0, damaged: 0 },
    images: { checked: 0, damaged: 0 },
    ociImages: { checked: 0, damaged: 0 },
  } satisfies Record<string, Checked>;
  readonly #streams = new Map<FsVerityDigest, CheckedStream>();
  readonly #images = new Map<FsVerityDigest, CheckedImage>();
  #brokenLinks = 0;

  constructor(repository: Repository, options: FsckOptions) {
    this.#repository = repository;
    this.#options = options;
    this.#turns = new Turns(options.signal);
  }

  async run(): Promise<FsckReport> {
    this.#checkMetadata();
    await this.#checkObjects();
    const links = {
      streams: readLinks(this.#repository, "streams"),
      images: readLinks(this.#repository, "images"),
    };
    await this.#checkStreams(links.streams);
    await this.#checkImages(links.images);
    this.#checkRefs(links.streams);
    this.#checkRefs(links.images);
    await this.#checkTags(links.streams);
    let missingObjects = 0;
    for (const [digest, fault] of this.#objects.faults) {
      if (fault.kind === "missing") missingObjects++;
      const where = `objects/${digest.slice(0, 2)}/${digest.slice(2)}`;
      this.#report(KIND_OF_FAULT[fault.kind], where, fault.detail, digest);
    }
    const isDamaged = (digest: FsVerityDigest): boolean => this.#objects.faults.has(digest);
    const hurt = findHurt(links, {
      streams: this.#streams,
      images: this.#images,
      isDamaged,
      filesOfLayer: (stream, objects) => this.#filesOfLayer(stream, objects),
    });
    return {
      ok: !this.#findings.some(({ severity }) => severity === "damage"),
      ...this.#counts,
      brokenLinks: this.#brokenLinks,
      missingObjects,
      findings: this.#findings,
      hurt,
    };
  }

  #report(kind: FindingKind, where: string, detail: string, digest?: FsVerityDigest): void {
    const severity = "damage";
    this.#findings.push({ kind, severity, where: where as ByteString, digest, detail });
  }

  #reportStrange(files: readonly StrangeFile[]): void {
    for (const { path, reason, mayHideRefs } of files) {
      const severity = mayHideRefs === undefined ? "note" : "damage";
      const kind = "unexpected-file";
      this.#findings.push({ kind, severity, where: path, digest: undefined, detail: reason });
    }
  }

  #checkMetadata(): void {
    try {
      const file = readMetaFile(this.#repository.dirfd);
      if (file === undefined) {
        this.#report("metadata-parse-failed", "meta.json", "it is gone");
      } else if (file.metadata.algorithm !== this.#repository.algorithm) {
        const detail = `it says ${file.metadata.algorithm} now`;
        this.#report("metadata-parse-failed", "meta.json", detail);
      }
    } catch (error) {
      this.#report("metadata-parse-failed", "meta.json", messageOf(error));
    }
  }

  async #checkObjects(): Promise<void> {
    const { dirfd, algorithm, verity } = this.#repository;
    const { metadataOnly = false, deep = false, threads = availableParallelism() } = this.#options;
    const config = { dirfd, algorithm, verity, thorough: deep };
    const pool = new ObjectPool(config, threads < 2 ? 0 : threads);
    try {
      for (const directory of readObjectDirectories(this.#repository)) {
        this.#reportStrange(directory.strange);
        for (const digest of directory.objects) this.#objects.addPresent(digest);
        if (!metadataOnly) await this.#checkBatches(pool, directory.objects);
        await this.#turns.next();
      }
      await pool.settle();
    } finally {
      await pool.close();
    }
  }

  async #checkBatches(pool: ObjectPool, objects: readonly FsVerityDigest[]): Promise<void> {
    for (let at = 0; at < objects.length; at += OBJECTS_AT_ONCE) {
      const batch = objects.slice(at, at + OBJECTS_AT_ONCE);
      await pool.submit(batch, (damaged) => {
        const count = this.#counts.objects;
        count.checked += batch.length;
        count.damaged += damaged.length;
        for (const { digest, fault } of damaged) this.#objects.addFault(digest, fault);
        this.#options.onProgress?.(count.checked);
      });
      await this.#turns.next();
    }
  }

  async #checkStreams(links: CategoryLinks): Promise<void> {
    const { decompression, metadataOnly = false, deep = false } = this.#options;
    const count = this.#counts.streams;
    this.#reportStrange(links.strange);
    for (const [name, digest] of links.entries) {
      const where = `streams/${displayText(name)}`;
      const known = this.#streams.get(digest);
      const stream =
        known ??
        checkStream(this.#repository, name, digest, this.#objects, { decompression, metadataOnly });
      this.#streams.set(digest, stream);
      count.checked++;
      if (this.#isBroken(where, digest)) count.damaged++;
      else if (stream.trouble !== undefined) {
        count.damaged++;
        // What is wrong with its object is told with the object.
        if (!stream.isObjectDamaged)
          this.#report("stream-read-failed", where, stream.trouble, digest);
      } else if (stream.lacks.length > 0) count.damaged++;
      else if (deep) {
        const finding = checkLayerContent(this.#repository, name, decompression);
        if (finding !== undefined) {
          count.damaged++;
          this.#findings.push(finding);
        }
      }
      await this.#turns.next();
    }
  }

  async #checkImages(links: CategoryLinks): Promise<void> {
    const count = this.#counts.images;
    this.#reportStrange(links.strange);
    for (const [name, digest] of links.entries) {
      const where = `images/${displayText(name)}`;
      const image = this.#images.get(digest) ?? checkImage(this.#repository, digest, this.#objects);
      this.#images.set(digest, image);
      count.checked++;
      const isMisnamed = digest !== (name as string);
      if (isMisnamed) {
        this.#report("image-invalid", where, `it leads to another object, ${digest}`, digest);
      }
      if (this.#isBroken(where, digest)) count.damaged++;
      else if (image.trouble !== undefined) {
        count.damaged++;
        if (!image.isObjectDamaged) this.#report("image-invalid", where, image.trouble, digest);
      } else if (image.lacks.size > 0 || isMisnamed) count.damaged++;
      await this.#turns.next();
    }
  }

  /** Whether an entry leads to nothing, which is reported. */
  #isBroken(where: string, digest: FsVerityDigest): boolean {
    if (this.#objects.faultOf(digest)?.kind !== "missing") return false;
    this.#brokenLinks++;
    this.#report("broken-symlink", where, "the object that it leads to is missing", digest);
    return true;
  }

  #checkRefs({ category, entries, refs }: CategoryLinks): void {
    for (const { name, entry } of refs) {
      const where = `${category}/refs/${displayText(name)}`;
      const digest = entries.get(entry);
      if (digest === undefined) {
        this.#brokenLinks++;
        this.#report("broken-symlink", where, `there is no ${category}/${displayText(entry)}`);
      } else if (this.#objects.faultOf(digest)?.kind === "missing") this.#brokenLinks++;
    }
  }

  async #checkTags({ refs }: CategoryLinks): Promise<void> {
    const { decompression, deep = false } = this.#options;
    const count = this.#counts.ociImages;
    for (const { name } of refs) {
      const tag = tagOfRef(name);
      if (tag === undefined) continue;
      const where = `streams/refs/${name}` as ByteString;
      const findings = checkOciImage(this.#repository, tag, where, decompression, deep);
      count.checked++;
      if (findings.length > 0) count.damaged++;
      this.#findings.push(...findings);
      await this.#turns.next();
    }
  }

  #filesOfLayer(
    { name }: CheckedStream,
    objects: ReadonlySet<FsVerityDigest>,
  ): readonly ByteString[] {
    const paths: ByteString[] = [];
    try {
      const { stream, close } = this.#repository.openStream(name);
      try {
        const { decompression } = this.#options;
        const entries = readLayer(stream, { decompression, expandSparse: (_, stored) => stored });
        for (const entry of entries) {
          if (entry.kind !== "leaf" || entry.leaf.kind !== "file") continue;
          const { content } = entry.leaf;
          const digest = content.kind === "external" ? content.digest : undefined;
          if (digest !== undefined && objects.has(digest)) paths.push(entry.path);
        }
      } finally {
        close();
      }
    } catch (error) {
      messageOf(error); // the trouble is told already
    }
    return paths;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof ComposefsError || error instanceof SyscallError) return error.message;
  throw error;
}
