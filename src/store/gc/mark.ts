/**
 * Which objects are needed: everything that can be reached from the roots.
 *
 * A stream needs itself, its objects, and the streams and images that it refers to. An image needs
 * itself and its objects; where a stream refers to it, its objects are those of the stream's layers,
 * and the image need not be read. What is read has its digest checked first: a flipped bit in a list of
 * digests must not cost an object.
 *
 * What cannot be read is damage. What it needs cannot be known, and the caller has to act on that.
 */

import { ComposefsError } from "../../core/errors.ts";
import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { openImage } from "../../core/erofs/reader.ts";
import { walkImage } from "../../core/erofs/walk-image.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { DIGEST_SIZE } from "../../core/fsverity/digest.ts";
import { SplitStream } from "../../core/splitstream/reader.ts";
import { SyscallError } from "../../floor/mod.ts";
import type { FileSource } from "../../floor/mod.ts";
import { ObjectChecker, openCheckedObject } from "../survey/check-object.ts";
import { DigestTable } from "../survey/digest-table.ts";
import type { CategoryLinks } from "../survey/links.ts";
import { objectOfName } from "../survey/names.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";
import type { Turns } from "../survey/turns.ts";

/** Something that has to stay, with all that it needs. */
export interface GcRoot {
  readonly kind: "stream" | "image";
  readonly digest: FsVerityDigest;
  /** Why it is a root, for people: `streams/refs/oci/debian`. */
  readonly why: string;
}

/** Something that is needed and cannot be read. */
export interface GcDamage {
  /** For people: `stream oci-layer-sha256:…`. */
  readonly what: string;
  readonly digest: FsVerityDigest | undefined;
  /** The root by which it was reached. */
  readonly neededBy: string;
  readonly reason: string;
}

/** What was reached. */
export interface Mark {
  /** All objects that are needed. */
  readonly live: DigestTable;
  /** The streams and images among them: entries that lead to these stay. */
  readonly reached: DigestTable;
  readonly damage: readonly GcDamage[];
}

/** The names of a repository, both kinds. */
export interface RepositoryLinks {
  readonly streams: CategoryLinks;
  readonly images: CategoryLinks;
}

/** Options of {@link markReachable}. */
export interface MarkOptions {
  /** Read images that streams refer to, for the case that a stream of their layers cannot be read. */
  readonly readAllImages: boolean;
  readonly turns: Turns;
}

interface Visit {
  readonly kind: GcRoot["kind"] | "either";
  readonly digest: FsVerityDigest;
  readonly why: string;
}

/** Marks what can be reached from `roots`. Each stream and image is read once. */
export async function markReachable(
  repository: RepositoryFiles,
  links: RepositoryLinks,
  roots: readonly GcRoot[],
  options: MarkOptions,
): Promise<Mark> {
  const marker = new Marker(repository, links, options);
  for (const root of roots) {
    marker.push(root);
    for (let more = true; more;) {
      more = marker.step();
      await options.turns.next();
    }
  }
  return marker.result();
}

class Marker {
  readonly #repository: RepositoryFiles;
  readonly #options: MarkOptions;
  readonly #checker: ObjectChecker;
  /** Names of the streams and images, by what they lead to. */
  readonly #streamNames: ReadonlyMap<FsVerityDigest, ByteString>;
  readonly #imageNames: ReadonlyMap<FsVerityDigest, ByteString>;
  readonly #live = new DigestTable();
  readonly #reached = new DigestTable();
  readonly #damage: GcDamage[] = [];
  readonly #stack: Visit[] = [];

  constructor(repository: RepositoryFiles, links: RepositoryLinks, options: MarkOptions) {
    this.#repository = repository;
    this.#options = options;
    this.#checker = new ObjectChecker(repository);
    this.#streamNames = namesByDigest(links.streams);
    this.#imageNames = namesByDigest(links.images);
  }

  push(visit: Visit): void {
    if (this.#reached.has(visit.digest)) return;
    this.#reached.add(visit.digest);
    this.#live.add(visit.digest);
    this.#stack.push(visit);
  }

  /** Reads one stream or image; returns whether there are more. */
  step(): boolean {
    const visit = this.#stack.pop();
    if (visit === undefined) return false;
    const kind = visit.kind === "either" ? this.#kindByName(visit.digest) : visit.kind;
    if (kind !== "known-image") this.#read(visit, kind);
    return this.#stack.length > 0;
  }

  result(): Mark {
    return { live: this.#live, reached: this.#reached, damage: this.#damage };
  }

  /** What a stream refers to without saying what it is. */
  #kindByName(digest: FsVerityDigest): "stream" | "image" | "known-image" | "either" {
    if (this.#streamNames.has(digest)) return "stream";
    if (!this.#imageNames.has(digest)) return "either";
    return this.#options.readAllImages ? "image" : "known-image";
  }

  #read(visit: Visit, kind: "stream" | "image" | "either"): void {
    let source: FileSource | undefined;
    try {
      source = openCheckedObject(this.#repository, visit.digest, this.#checker);
      if (kind === "stream" || (kind === "either" && !looksLikeImage(source))) {
        this.#readStream(source, visit);
      } else if (kind === "image" || this.#options.readAllImages) {
        this.#readImage(source);
      }
    } catch (error) {
      if (!(error instanceof ComposefsError || error instanceof SyscallError)) throw error;
      this.#damage.push({
        what: this.#describe(visit.digest, kind),
        digest: visit.digest,
        neededBy: visit.why,
        reason: error.message,
      });
    } finally {
      source?.close();
    }
  }

  #readStream(source: FileSource, { why }: Visit): void {
    const stream = new SplitStream(source);
    if (stream.algorithm !== this.#repository.algorithm) {
      throw new ComposefsError(
        "corrupt-stream",
        `Cannot use splitstream: its digests are ${stream.algorithm}, not ${this.#repository.algorithm}`,
      );
    }
    for (const digest of stream.objectRefs) this.#live.add(digest);
    for (const digest of stream.streamRefs) this.push({ kind: "either", digest, why });
  }

  #readImage(source: FileSource): void {
    const image = openImage(source);
    image.wholly(() => {
      for (const { node } of walkImage(image)) {
        if (node.kind !== "file" || node.content.kind !== "external") continue;
        const { digest, path } = node.content;
        if (digest !== undefined) this.#keep(digest);
        if (path !== undefined) this.#keep(this.#objectAt(path));
      }
    });
  }

  /** A digest of the other algorithm names nothing that could be here. */
  #keep(digest: FsVerityDigest | undefined): void {
    if (digest?.length === 2 * DIGEST_SIZE[this.#repository.algorithm]) this.#live.add(digest);
  }

  #objectAt(path: ByteString): FsVerityDigest | undefined {
    const slash = path.indexOf("/");
    return slash === 2
      ? objectOfName(path.slice(0, 2), path.slice(3), this.#repository.algorithm)
      : undefined;
  }

  #describe(digest: FsVerityDigest, kind: Visit["kind"]): string {
    const stream = this.#streamNames.get(digest);
    if (stream !== undefined) return `stream ${displayText(stream)}`;
    return kind === "either" ? `object ${digest}` : `${kind} ${digest}`;
  }
}

function namesByDigest(links: CategoryLinks): Map<FsVerityDigest, ByteString> {
  const names = new Map<FsVerityDigest, ByteString>();
  for (const [name, digest] of links.entries) if (!names.has(digest)) names.set(digest, name);
  return names;
}

/** Whether the EROFS magic stands in its place. */
function looksLikeImage(source: FileSource): boolean {
  if (source.size < 1028) return false;
  const magic = source.read(1024, 4);
  return magic[0] === 0xe2 && magic[1] === 0xe1 && magic[2] === 0xf5 && magic[3] === 0xe0;
}
