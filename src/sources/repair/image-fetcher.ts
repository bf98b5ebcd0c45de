/** Gets damaged objects back from where their images came from. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { layerCompression } from "../../core/oci/media-type.ts";
import { isStoredAsObject } from "../../core/oci/layer-entry.ts";
import { readLayer } from "../../core/oci/read-layer.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { TarReader } from "../../core/tar/reader.ts";
import type { TarEvent } from "../../core/tar/reader.ts";
import type { FileContent } from "../../core/tree/node.ts";
import {
  createTemporaryFile,
  discardTemporaryFile,
  ftruncate,
  pwriteFully,
} from "../../floor/mod.ts";
import type { TemporaryFile } from "../../floor/mod.ts";
import { layerStreamName } from "../../store/mod.ts";
import type { OciImage, OciLayer, Repository } from "../../store/mod.ts";
import type { GoodContent, ObjectFetcher, TaggedImage } from "../../store/fsck/mod.ts";
import { decompressLayer } from "../decompress.ts";
import type { ImageSource } from "../image-source.ts";
import { pullImage } from "../pull/mod.ts";

/** What a fetcher works with. */
export interface ImageFetcherOptions {
  readonly repository: Repository;
  readonly decompression: Decompression;
  /** Opens the image of a tag, pinned to the digest of its manifest; the fetcher closes it. */
  readonly openSource: (image: TaggedImage) => Promise<ImageSource>;
  readonly signal?: AbortSignal | undefined;
}

/** Fetches layers for the objects in them, or whole images. */
export class ImageFetcher implements ObjectFetcher {
  readonly #options: ImageFetcherOptions;

  constructor(options: ImageFetcherOptions) {
    this.#options = options;
  }

  async *fetchObjects(
    image: OciImage,
    tag: ByteString,
    wanted: ReadonlySet<FsVerityDigest>,
  ): AsyncGenerator<GoodContent, void> {
    const source = await this.#options.openSource({ tag, manifestDigest: image.manifestDigest });
    try {
      for (const layer of image.layers) {
        const places = this.#placesIn(layer, wanted);
        if (places.size > 0) yield* this.#readPlaces(source, layer, places);
      }
    } finally {
      await source.close();
    }
  }

  async fetchImage(tagged: TaggedImage): Promise<void> {
    const { repository, signal } = this.#options;
    const source = await this.#options.openSource(tagged);
    try {
      await pullImage(repository, source, {
        tag: tagged.tag,
        signal,
        async check({ manifestDigest }) {
          if (manifestDigest === tagged.manifestDigest) return;
          throw new ComposefsError(
            "content-mismatch",
            `Cannot repair image "${displayText(tagged.tag)}": its source has another one by now, ${manifestDigest}`,
          );
        },
      });
    } finally {
      await source.close();
    }
  }

  /** Which entries of a layer's archive, counted from 0, hold wanted objects. */
  #placesIn({ diffId }: OciLayer, wanted: ReadonlySet<FsVerityDigest>): Set<number> {
    const places = new Set<number>();
    const { repository, decompression } = this.#options;
    let opened: ReturnType<Repository["openStream"]>;
    try {
      opened = repository.openStream(layerStreamName(diffId));
    } catch (error) {
      if (error instanceof ComposefsError) return places; // then the image is pulled again
      throw error;
    }
    try {
      if (!opened.stream.objectRefs.some((digest) => wanted.has(digest))) return places;
      let place = 0;
      const options = { decompression, expandSparse: (_: unknown, stored: FileContent) => stored };
      for (const entry of readLayer(opened.stream, options)) {
        const content =
          entry.kind === "leaf" && entry.leaf.kind === "file" ? entry.leaf.content : undefined;
        const digest = content?.kind === "external" ? content.digest : undefined;
        if (digest !== undefined && wanted.has(digest)) places.add(place);
        place++;
      }
    } finally {
      opened.close();
    }
    return places;
  }

  /** Reads the archive up to the last wanted entry; what is behind it is not fetched. */
  async *#readPlaces(
    source: ImageSource,
    { descriptor }: OciLayer,
    places: ReadonlySet<number>,
  ): AsyncGenerator<GoodContent, void> {
    const compression = layerCompression(descriptor.mediaType) ?? "none";
    const { repository, signal } = this.#options;
    const { dirfd } = repository.objects;
    const file = createTemporaryFile(dirfd, 0o600);
    try {
      const picker = new EntryPicker(file, places);
      const blob = source.openBlob(descriptor, { signal });
      for await (const piece of decompressLayer(blob, compression)) {
        for (const event of picker.push(piece)) yield event;
        if (picker.isDone) return;
      }
    } finally {
      discardTemporaryFile(file, dirfd);
    }
  }
}

/** Writes the content of chosen entries into a file, one after the other. */
class EntryPicker {
  readonly #reader = new TarReader({ globalRecords: "ignore" });
  readonly #file: TemporaryFile;
  readonly #places: ReadonlySet<number>;
  #place = -1;
  #left: number;
  #size = 0;
  #isWanted = false;

  constructor(file: TemporaryFile, places: ReadonlySet<number>) {
    this.#file = file;
    this.#places = places;
    this.#left = places.size;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  /** Yields the file each time when a wanted entry is in it. */
  *push(bytes: Uint8Array): Generator<GoodContent, void> {
    for (const event of this.#reader.push(bytes)) {
      if (this.#take(event)) yield this.#file.fd;
    }
  }

  #take(event: TarEvent): boolean {
    switch (event.kind) {
      case "entry":
        this.#place++;
        this.#isWanted = this.#places.has(this.#place) && isStoredAsObject(event.entry);
        this.#size = 0;
        if (this.#isWanted) ftruncate(this.#file.fd, 0);
        return false;
      case "data":
        if (!this.#isWanted) return false;
        pwriteFully(this.#file.fd, event.bytes, this.#size);
        this.#size += event.bytes.length;
        return false;
      case "end-of-entry":
        if (!this.#isWanted) return false;
        this.#isWanted = false;
        this.#left--;
        return true;
      default:
        return false;
    }
  }
}
