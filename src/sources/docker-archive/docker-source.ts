/**
 * Images in what `docker save` and `podman save` write.
 *
 * Such an archive has no manifest: one is made here, in which a layer is named by its diff ID and comes
 * without compression, however it is stored. So the same image has the same manifest out of every such
 * archive.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseImageConfig } from "../../core/oci/image-config.ts";
import { MANIFEST_SIZE_MAX } from "../../core/oci/manifest.ts";
import { MEDIA_TYPE } from "../../core/oci/media-type.ts";
import type { LayerCompression } from "../../core/oci/media-type.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { preadFully } from "../../floor/file.ts";
import { decompressLayer, detectCompression } from "../decompress.ts";
import { corruptArchive, readFilePart, readImageFile } from "../image-files.ts";
import type { FilePart, ImageFiles, OpenFilePart } from "../image-files.ts";
import type { ImageSource, ResolvedImage, SourceCallOptions } from "../image-source.ts";
import { sha256Digest } from "../sha256-digest.ts";
import { readVerified, verifyContent } from "../verify-content.ts";
import { findDockerImage, parseDockerManifest } from "./docker-manifest.ts";
import type { FileReference } from "../file-reference.ts";

const MANIFEST_JSON = "manifest.json" as ByteString;

interface DockerLayer {
  readonly path: ByteString;
  readonly compression: LayerCompression;
}

/** What is known of the image once its manifest was made. */
interface KnownImage extends ResolvedImage {
  readonly config: { readonly digest: OciDigest; readonly bytes: Uint8Array };
  readonly layers: ReadonlyMap<OciDigest, DockerLayer>;
}

/** An image of an archive. It owns `files`. */
export class DockerArchiveSource implements ImageSource {
  readonly name: string;
  readonly #files: ImageFiles;
  readonly #reference: FileReference;
  #known: Promise<KnownImage> | undefined;

  constructor(files: ImageFiles, reference: FileReference) {
    this.name = files.name;
    this.#files = files;
    this.#reference = reference;
  }

  async resolve(options: SourceCallOptions = {}): Promise<ResolvedImage> {
    const { descriptor, bytes } = await this.#image(options);
    return { descriptor, bytes };
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

  async close(): Promise<void> {
    this.#files.close();
  }

  async *#content(
    { digest }: Descriptor,
    options: SourceCallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const { descriptor, bytes, config, layers } = await this.#image(options);
    const layer = layers.get(digest);
    if (digest === descriptor.digest) yield bytes.slice();
    else if (digest === config.digest) yield config.bytes.slice();
    else if (layer !== undefined) yield* this.#layer(layer, options);
    else throw corruptArchive(this.name, `blob ${digest} is missing`);
  }

  async *#layer(
    { path, compression }: DockerLayer,
    options: SourceCallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const part = this.#open(path);
    try {
      yield* decompressLayer(readFilePart(part, options.signal), compression);
    } finally {
      part.close();
    }
  }

  #image(options: SourceCallOptions): Promise<KnownImage> {
    this.#known ??= this.#makeManifest(options).catch((error: unknown) => {
      this.#known = undefined;
      throw error;
    });
    return this.#known;
  }

  async #makeManifest(options: SourceCallOptions): Promise<KnownImage> {
    const list = await readImageFile(this.#files, MANIFEST_JSON, MANIFEST_SIZE_MAX);
    if (list === undefined) {
      throw new ComposefsError(
        "corrupt-archive",
        `Cannot read image "${this.name}": manifest.json is missing`,
        { hint: "is it an archive of Docker's? `oci-archive:` reads those of OCI" },
      );
    }
    const image = findDockerImage(parseDockerManifest(list), this.#reference, this.name);
    const config = await readImageFile(this.#files, image.configPath, MANIFEST_SIZE_MAX);
    if (config === undefined) throw this.#missing(image.configPath);
    const { diffIds } = parseImageConfig(config);
    if (diffIds.length !== image.layerPaths.length) {
      const counts = `${image.layerPaths.length} layers, and its config tells of ${diffIds.length}`;
      throw corruptArchive(this.name, `it has ${counts}`);
    }
    const layers = new Map<OciDigest, DockerLayer>();
    const descriptors: object[] = [];
    for (const [i, path] of image.layerPaths.entries()) {
      const digest = diffIds[i]!;
      const layer = { path, compression: this.#compressionOf(path) };
      const size = await this.#layerSize(layer, digest, options);
      layers.set(digest, layer);
      descriptors.push({ mediaType: MEDIA_TYPE.ociLayer, digest, size });
    }
    const configDigest = sha256Digest(config);
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPE.ociManifest,
        config: { mediaType: MEDIA_TYPE.ociConfig, digest: configDigest, size: config.length },
        layers: descriptors,
      }),
    );
    const digest = sha256Digest(bytes);
    const mediaType = MEDIA_TYPE.ociManifest;
    return {
      descriptor: { mediaType, digest, size: bytes.length, annotations: {} },
      bytes,
      config: { digest: configDigest, bytes: config },
      layers,
    };
  }

  /** Bytes without compression: where it is compressed, it has to be read to know. */
  async #layerSize(
    layer: DockerLayer,
    digest: OciDigest,
    options: SourceCallOptions,
  ): Promise<number> {
    const part = this.#open(layer.path);
    part.close();
    if (layer.compression === "none") return part.size;
    let size = 0;
    const content = this.#layer(layer, options);
    const promised = { digest, size: undefined };
    for await (const bytes of verifyContent(content, promised, this.name)) size += bytes.length;
    return size;
  }

  #compressionOf(path: ByteString): LayerCompression {
    const part = this.#open(path);
    try {
      const compression = detectCompression(readStart(part));
      if (compression !== undefined) return compression;
      const what = `layer "${displayText(path)}" is compressed with bzip2 or xz`;
      throw new ComposefsError(
        "unsupported-media-type",
        `Cannot read image "${this.name}": ${what}, which is not known here`,
      );
    } finally {
      part.close();
    }
  }

  #open(path: ByteString): OpenFilePart {
    const part = this.#files.open(path);
    if (part === undefined) throw this.#missing(path);
    return part;
  }

  #missing(path: ByteString): ComposefsError {
    return corruptArchive(this.name, `"${displayText(path)}" is missing`);
  }
}

function readStart({ fd, offset, size }: FilePart): Uint8Array {
  const start = new Uint8Array(Math.min(size, 16));
  return start.subarray(0, preadFully(fd, start, offset));
}
