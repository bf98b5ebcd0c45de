/**
 * Images in podman's storage, read only. The manifest is the one that podman got, with the layers as they
 * were in the registry; what podman keeps of them is their files, and enough to make their archives again.
 */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseOciDocument } from "../../core/oci/document.ts";
import { shown } from "../../core/oci/json.ts";
import { MANIFEST_SIZE_MAX } from "../../core/oci/manifest.ts";
import { layerCompression } from "../../core/oci/media-type.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { close } from "../../floor/file.ts";
import { readFilePart } from "../image-files.ts";
import type { ImageSource, LayerPiece, ResolvedImage, SourceCallOptions } from "../image-source.ts";
import { sha256Digest } from "../sha256-digest.ts";
import { readVerified, verifyContent } from "../verify-content.ts";
import { ImageStore, corruptStore } from "./image-store.ts";
import type { StoredImage, StoredLayer } from "./image-store.ts";
import { readStoragePlaces } from "./storage-conf.ts";
import type { StorageOptions } from "./storage-conf.ts";
import { matchesStorageName, parseStorageReference } from "./storage-reference.ts";
import type { StorageReference } from "./storage-reference.ts";
import { readStoredLayer } from "./stored-layer.ts";

/** Layers that lie on each other. */
const DEPTH_MAX = 1024;

/** Opens an image of podman's storage. Throws `invalid-reference`, `invalid-config`, SyscallError. */
export function openStorageSource(
  text: string,
  name: string,
  options: StorageOptions = {},
): ImageSource {
  const reference = parseStorageReference(text);
  const places =
    reference.graphRoot === undefined
      ? readStoragePlaces(options)
      : { driver: "overlay", graphRoot: reference.graphRoot, additional: [] };
  const driver = reference.driver ?? places.driver;
  const stores: ImageStore[] = [];
  try {
    for (const root of [places.graphRoot, ...places.additional]) {
      stores.push(new ImageStore(root, driver, name));
    }
  } catch (error) {
    for (const store of stores) store.close();
    throw error;
  }
  return new StorageSource(name, reference, stores);
}

interface FoundImage {
  readonly store: ImageStore;
  readonly image: StoredImage;
  /** By diff ID. */
  readonly layers: ReadonlyMap<
    OciDigest,
    { readonly store: ImageStore; readonly layer: StoredLayer }
  >;
}

class StorageSource implements ImageSource {
  readonly name: string;
  readonly #reference: StorageReference;
  readonly #stores: readonly ImageStore[];
  #found: Promise<FoundImage> | undefined;

  constructor(name: string, reference: StorageReference, stores: readonly ImageStore[]) {
    this.name = name;
    this.#reference = reference;
    this.#stores = stores;
  }

  async resolve(): Promise<ResolvedImage> {
    const { store, image } = await this.#image();
    const at = this.#reference.image.lastIndexOf("@sha");
    const wanted = at < 0 ? undefined : `manifest-${this.#reference.image.slice(at + 1)}`;
    const key = wanted !== undefined && image.bigData.has(wanted) ? wanted : "manifest";
    const bytes = await store.readBigData(image, key, MANIFEST_SIZE_MAX);
    if (bytes === undefined) throw corruptStore(this.name, "its manifest is missing");
    const digest = sha256Digest(bytes);
    if (!image.digests.includes(digest)) {
      throw new ComposefsError(
        "content-mismatch",
        `Cannot use manifest of "${this.name}": its digest is ${digest}`,
      );
    }
    const { mediaType } = parseOciDocument(bytes);
    return { descriptor: { mediaType, digest, size: bytes.length, annotations: {} }, bytes };
  }

  async readManifest(descriptor: Descriptor, options: SourceCallOptions = {}): Promise<Uint8Array> {
    const content = this.#content(descriptor, options);
    return readVerified(content, descriptor, this.name, MANIFEST_SIZE_MAX);
  }

  async *openBlob(
    descriptor: Descriptor,
    options: SourceCallOptions = {},
  ): AsyncGenerator<Uint8Array, void> {
    yield* verifyContent(this.#content(descriptor, options), descriptor, this.name);
  }

  async *openLayer(
    _descriptor: Descriptor,
    diffId: OciDigest,
    options: SourceCallOptions = {},
  ): AsyncGenerator<LayerPiece, void> {
    options.signal?.throwIfAborted();
    const { layers } = await this.#image();
    const found = layers.get(diffId);
    if (found === undefined) {
      throw new ComposefsError(
        "content-mismatch",
        `Cannot use layer ${diffId} of "${this.name}": podman has no such layer`,
      );
    }
    const { store, layer } = found;
    const unlock = await store.lockLayers(options.signal);
    try {
      const tarSplit = store.openTarSplit(layer.id);
      if (tarSplit === undefined) {
        throw corruptStore(this.name, `the tar-split of layer ${layer.id} is missing`);
      }
      const content = store.openContent(layer.id);
      try {
        const places = { tarSplit, content, diffId, name: this.name };
        yield* readStoredLayer(places, options.signal);
      } finally {
        close(content);
        tarSplit.close();
      }
    } finally {
      unlock();
    }
  }

  async close(): Promise<void> {
    for (const store of this.#stores) store.close();
  }

  async *#content(
    descriptor: Descriptor,
    options: SourceCallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    options.signal?.throwIfAborted();
    const { store, image, layers } = await this.#image();
    const { digest } = descriptor;
    if (layers.has(digest)) {
      for await (const piece of this.openLayer(descriptor, digest, options)) {
        if (piece.kind === "tar") yield piece.bytes;
        else yield* readFilePart({ fd: piece.fd, offset: 0, size: piece.size }, options.signal);
      }
      return;
    }
    const bytes =
      (await store.readBigData(image, digest, MANIFEST_SIZE_MAX)) ??
      (await store.readBigData(image, `manifest-${digest}`, MANIFEST_SIZE_MAX));
    if (bytes !== undefined) {
      yield bytes;
      return;
    }
    const isCompressed = (layerCompression(descriptor.mediaType) ?? "none") !== "none";
    const what = isCompressed ? "podman keeps layers without compression" : "it is missing";
    throw corruptStore(this.name, `blob ${digest}: ${what}`);
  }

  #image(): Promise<FoundImage> {
    this.#found ??= this.#find().catch((error: unknown) => {
      this.#found = undefined;
      throw error;
    });
    return this.#found;
  }

  async #find(): Promise<FoundImage> {
    const wanted = this.#reference.image;
    const perhaps: { store: ImageStore; image: StoredImage }[] = [];
    for (const store of this.#stores) {
      for (const image of await store.images()) {
        const match = matchesStorageName(wanted, image);
        if (match === true) return { store, image, layers: await this.#layersOf(image) };
        if (match === "perhaps") perhaps.push({ store, image });
      }
    }
    const [only] = perhaps;
    if (only !== undefined && perhaps.every(({ image }) => image.id === only.image.id)) {
      return { ...only, layers: await this.#layersOf(only.image) };
    }
    const reason = only === undefined ? "podman has no such image" : "several IDs start like that";
    throw new ComposefsError(
      "invalid-reference",
      `Cannot find image ${shown(wanted)} in podman's storage: ${reason}`,
      { hint: "`podman images` lists what there is" },
    );
  }

  /** A layer may lie in another store than the image. */
  async #layersOf({ topLayer }: StoredImage): Promise<FoundImage["layers"]> {
    const all = await Promise.all(
      this.#stores.map(async (store) => {
        const unlock = await store.lockLayers();
        try {
          return { store, layers: await store.layers() };
        } finally {
          unlock();
        }
      }),
    );
    const found = new Map<OciDigest, { store: ImageStore; layer: StoredLayer }>();
    let id = topLayer;
    for (let depth = 0; id !== undefined; depth++) {
      const current: string = id;
      const place = all.find(({ layers }) => layers.has(current));
      if (place === undefined) throw corruptStore(this.name, `layer ${current} is missing`);
      if (depth === DEPTH_MAX) throw corruptStore(this.name, "its layers go round in a circle");
      const layer = place.layers.get(current)!;
      if (layer.diffId !== undefined) found.set(layer.diffId, { store: place.store, layer });
      id = layer.parent;
    }
    return found;
  }
}
