/**
 * The entries of a layer out of its splitstream, without reading an object: what lies in objects is
 * known by digest.
 */

import { ComposefsError } from "../errors.ts";
import { objectPath } from "../fsverity/digest.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";
import type { Decompression } from "../splitstream/compression.ts";
import type { SplitStream } from "../splitstream/reader.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TarReader } from "../tar/reader.ts";
import type { TarEvent, TarReaderOptions } from "../tar/reader.ts";
import type { FileContent } from "../tree/node.ts";
import { LAYER_INLINE_MAX, invalidLayer, isStoredAsObject, layerEntryOf } from "./layer-entry.ts";
import type { LayerEntry } from "./layer-entry.ts";

/** Options of {@link readLayer}. */
export interface ReadLayerOptions {
  readonly decompression: Decompression;
  /** Unless told, PAX headers for the whole archive are ignored, as container runtimes do. */
  readonly tar?: TarReaderOptions;
  /**
   * Gives the content of a sparse file with its holes; `stored` is what the archive has of it. Without
   * it a layer with a sparse file of more than {@link LAYER_INLINE_MAX} bytes is refused.
   */
  readonly expandSparse?: (entry: TarEntry, stored: FileContent) => FileContent;
}

/**
 * Yields the entries in the order of the archive. Throws `corrupt-stream`, `invalid-layer` and what a
 * {@link TarReader} throws.
 */
export function* readLayer(
  stream: SplitStream,
  options: ReadLayerOptions,
): Generator<LayerEntry, void> {
  const reader = new TarReader({ globalRecords: "ignore", ...options.tar });
  const files = new LayerFiles(options);
  for (const chunk of stream.chunks(options.decompression)) {
    if (chunk.kind === "external") {
      if (!reader.canSkipContent) throw misplaced("an object stands where no file's content is");
      reader.skipContent();
      files.setObject(chunk.digest);
      continue;
    }
    for (const event of reader.push(chunk.bytes)) {
      const done = files.take(event);
      if (done !== undefined) yield done;
    }
  }
  for (const event of reader.finish()) {
    const done = files.take(event);
    if (done !== undefined) yield done;
  }
}

/** Brings entries and their contents together. */
class LayerFiles {
  readonly #options: ReadLayerOptions;
  readonly #inline = new Uint8Array(LAYER_INLINE_MAX);
  #entry: TarEntry | undefined;
  #filled = 0;
  #object: FsVerityDigest | undefined;

  constructor(options: ReadLayerOptions) {
    this.#options = options;
  }

  setObject(digest: FsVerityDigest): void {
    this.#object = digest;
  }

  /** Returns the entry that an event completes. */
  take(event: TarEvent): LayerEntry | undefined {
    switch (event.kind) {
      case "raw":
        return undefined;
      case "entry":
        this.#entry = event.entry;
        this.#filled = 0;
        this.#object = undefined;
        return undefined;
      case "data":
        if (this.#filled + event.bytes.length > LAYER_INLINE_MAX) {
          throw misplaced(`a file of more than ${LAYER_INLINE_MAX} bytes is inline`);
        }
        this.#inline.set(event.bytes, this.#filled);
        this.#filled += event.bytes.length;
        return undefined;
      case "end-of-entry": {
        const entry = this.#entry!;
        return layerEntryOf(entry, entry.kind === "file" ? this.#content(entry) : undefined);
      }
    }
  }

  #content(entry: TarEntry): FileContent {
    const stored = this.#stored(entry);
    if (entry.segments === undefined) return stored;
    if (entry.size <= LAYER_INLINE_MAX && stored.kind === "inline") {
      return { kind: "inline", data: expand(entry, stored.data) };
    }
    if (this.#options.expandSparse === undefined) {
      throw invalidLayer(entry.path, "sparse file");
    }
    return this.#options.expandSparse(entry, stored);
  }

  #stored(entry: TarEntry): FileContent {
    const { storedSize } = entry;
    const digest = this.#object;
    if (digest === undefined) {
      return { kind: "inline", data: this.#inline.slice(0, this.#filled) };
    }
    if (!isStoredAsObject(entry)) {
      throw misplaced(`a file of only ${storedSize} bytes is an object`);
    }
    return { kind: "external", size: storedSize, digest, path: objectPath(digest) };
  }
}

function expand({ size, segments }: TarEntry, stored: Uint8Array): Uint8Array {
  const data = new Uint8Array(size);
  let at = 0;
  for (const segment of segments ?? []) {
    data.set(stored.subarray(at, at + segment.size), segment.offset);
    at += segment.size;
  }
  return data;
}

function misplaced(reason: string): ComposefsError {
  return new ComposefsError("corrupt-stream", `Cannot read layer from splitstream: ${reason}`);
}
