/**
 * Takes a layer apart while it goes by: what is not content, and small files, go into the splitstream,
 * every other file becomes an object. The bytes of the archive are hashed on the way, so that at the
 * end it is known whether it was the layer that was meant.
 *
 * A sparse file makes two objects: what the archive has of it, for the stream, and the file with its
 * holes filled, for the image.
 */

import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";

import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { ComposefsError } from "../../core/errors.ts";
import { formatOciDigest, ociDigestAlgorithm } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { LAYER_INLINE_MAX, isStoredAsObject } from "../../core/oci/layer-entry.ts";
import type { Compression } from "../../core/splitstream/compression.ts";
import { CONTENT_TYPE } from "../../core/splitstream/format.ts";
import { SplitStreamWriter } from "../../core/splitstream/writer.ts";
import type { TarEntry } from "../../core/tar/entry.ts";
import { TarReader } from "../../core/tar/reader.ts";
import type { TarEvent } from "../../core/tar/reader.ts";
import { blockHash } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { ContentCollector } from "./content-collector.ts";
import { changedFile, readFilePieces } from "./file-pieces.ts";
import type { LayerLimits } from "./limits.ts";
import { layerOverLimit } from "./limits.ts";
import type { ObjectSink } from "./object-sink.ts";
import { SparseExpander } from "./sparse-expander.ts";

/** How to take a layer apart. */
export interface SplitterOptions {
  /** What the archive must turn out to be. */
  readonly diffId: OciDigest;
  readonly algorithm: FsVerityAlgorithm;
  readonly compression: Compression | undefined;
  readonly limits: LayerLimits;
  readonly sink: ObjectSink;
}

/** A layer that has been taken apart. */
export interface SplitLayer {
  /** The splitstream. */
  readonly stream: Uint8Array;
  /** Bytes of the archive. */
  readonly size: number;
  readonly entries: number;
  /** The sparse files of more than {@link LAYER_INLINE_MAX} bytes, holes filled, in the order of the archive. */
  readonly sparseFiles: readonly FsVerityDigest[];
}

/** Takes one layer apart. */
export class LayerSplitter {
  readonly #options: SplitterOptions;
  readonly #reader: TarReader;
  readonly #writer: SplitStreamWriter;
  readonly #archiveHash: Hash;
  readonly #content: ContentCollector;
  readonly #sparseFiles: FsVerityDigest[] = [];
  #entry: TarEntry | undefined;
  /** The content of the entry goes into an object. */
  #isObject = false;
  /** It is one already. */
  #known: FsVerityDigest | undefined;
  #sparse: SparseExpander | undefined;
  #entries = 0;
  #size = 0;

  constructor(options: SplitterOptions) {
    const { diffId, algorithm, compression, limits, sink } = options;
    this.#options = options;
    this.#archiveHash = createHash(ociDigestAlgorithm(diffId));
    // Container runtimes ignore PAX headers for the whole archive, and so does composefs-rs.
    this.#reader = new TarReader({ globalRecords: "ignore", limits });
    this.#writer = new SplitStreamWriter({
      algorithm,
      contentType: CONTENT_TYPE.ociLayer,
      ...(compression === undefined ? {} : { compression }),
    });
    this.#content = new ContentCollector(sink);
  }

  /** Takes the next bytes of the archive; nothing is kept of them. */
  bytes(bytes: Uint8Array): void {
    this.#hash(bytes);
    for (const event of this.#reader.push(bytes)) this.#take(event);
  }

  /** Takes the content of the entry whose header came last as an open file; the caller closes it. */
  file(fd: Fd, size: number): void {
    if (!this.#canSkip(size)) {
      for (const bytes of readFilePieces(fd, size)) this.bytes(bytes);
      return;
    }
    // What was hashed must be what becomes the object, also if the file changes meanwhile.
    const hasher = new FsVerityHasher(blockHash(this.#options.algorithm));
    for (const bytes of readFilePieces(fd, size)) {
      this.#hash(bytes);
      hasher.update(bytes);
    }
    const digest = this.#options.sink.importFile(fd, size);
    if (digest !== hasher.digest()) throw changedFile();
    this.#skip(digest);
  }

  /** Takes the content of the entry whose header came last as an object that the repository has. */
  object(digest: FsVerityDigest, size: number): void {
    const pieces = this.#options.sink.readObject(digest, size);
    if (!this.#canSkip(size)) {
      for (const bytes of pieces) this.bytes(bytes);
      return;
    }
    for (const bytes of pieces) this.#hash(bytes);
    this.#skip(digest);
  }

  /** Says that the archive ends. Throws `content-mismatch` if it is another one, `corrupt-tar` if it is cut. */
  finish(): SplitLayer {
    for (const event of this.#reader.finish()) this.#take(event);
    const { diffId } = this.#options;
    const digest = formatOciDigest(ociDigestAlgorithm(diffId), this.#archiveHash.digest());
    if (digest !== diffId) {
      throw new ComposefsError(
        "content-mismatch",
        `Cannot import layer: its diff ID is ${digest} instead of ${diffId}`,
        { hint: "the image was built wrongly, or is not what it claims to be" },
      );
    }
    return {
      stream: this.#writer.finish(),
      size: this.#size,
      entries: this.#entries,
      sparseFiles: this.#sparseFiles,
    };
  }

  /** Removes what is half written. */
  discard(): void {
    this.#content.discard();
    this.#sparse?.abort();
  }

  #hash(bytes: Uint8Array): void {
    this.#size += bytes.length;
    const { size } = this.#options.limits;
    if (this.#size > size) throw layerOverLimit(`more than ${size} bytes, uncompressed`);
    this.#archiveHash.update(bytes);
  }

  #take(event: TarEvent): void {
    switch (event.kind) {
      case "raw":
        this.#writer.writeInline(event.bytes);
        return;
      case "entry":
        this.#begin(event.entry);
        return;
      case "data":
        if (this.#isObject) this.#content.write(event.bytes);
        else this.#writer.writeInline(event.bytes);
        this.#sparse?.write(event.bytes, event.offset);
        return;
      case "end-of-entry":
        this.#end();
    }
  }

  #begin(entry: TarEntry): void {
    this.#entries++;
    this.#entry = entry;
    this.#known = undefined;
    this.#isObject = isStoredAsObject(entry);
    if (entry.segments !== undefined && entry.size > LAYER_INLINE_MAX) {
      const { sparseSize } = this.#options.limits;
      if (entry.size > sparseSize) {
        throw layerOverLimit(`a sparse file of more than ${sparseSize} bytes`);
      }
      this.#sparse = new SparseExpander(this.#options.sink.begin(entry.size), entry.size);
    }
    // Only when content comes as bytes an object is begun; see `#skip`.
    if (this.#isObject) this.#content.begin(entry.storedSize);
  }

  #end(): void {
    if (this.#isObject) {
      const digest = this.#known ?? this.#content.end();
      this.#writer.writeExternal(this.#entry!.storedSize, digest);
    }
    if (this.#sparse !== undefined) {
      const digest = this.#sparse.finish();
      this.#sparse = undefined;
      this.#sparseFiles.push(digest);
      this.#writer.addObject(digest);
    }
  }

  #canSkip(size: number): boolean {
    const { segments, storedSize } = this.#entry ?? { segments: undefined, storedSize: -1 };
    if (!this.#reader.canSkipContent || storedSize !== size) throw changedFile();
    return this.#isObject && segments === undefined;
  }

  #skip(digest: FsVerityDigest): void {
    this.#content.discard();
    this.#known = digest;
    this.#reader.skipContent();
  }
}
