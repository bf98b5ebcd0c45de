/**
 * Writes an image of a repository to a target. The layers are made again out of their streams, each
 * verified by its diff ID; compressed again they have other digests than they came with, and so has the
 * manifest then. Config and diff IDs stay what they are.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { CHUNKED_ANNOTATION } from "../../core/chunked/format.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { MEDIA_TYPE, layerCompression, layerMediaType } from "../../core/oci/media-type.ts";
import type { LayerCompression } from "../../core/oci/media-type.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { rewriteManifest } from "../../core/oci/rewrite-manifest.ts";
import { loadZstd } from "../../floor/mod.ts";
import type { OciImage, OciLayer, Repository } from "../../store/mod.ts";
import { writeChunkedLayer } from "../chunked/write-layer.ts";
import { compressLayer } from "../compress.ts";
import type { ImageTarget } from "../image-source.ts";
import { layerArchiveSize, readLayerArchive } from "./layer-archive.ts";
import type { LayerReading } from "./layer-archive.ts";
import { spoolContent } from "./spool.ts";

/** How layers are compressed on their way out; zstd:chunked is zstd from which parts can be pulled. */
export type ExportCompression = LayerCompression | "zstd:chunked";

/** Options of {@link exportImage}. */
export interface ExportOptions {
  /** How layers are compressed; each as it came unless told. */
  readonly compression?: ExportCompression | undefined;
  /** For gzip 1 to 9, for zstd 1 to 19; zstd:chunked has its own. */
  readonly level?: number | undefined;
  /** The name of the image in the target; that of the target unless told. */
  readonly tag?: string | undefined;
  /** Where compressed layers are kept until they are sent; `/var/tmp` unless told. */
  readonly temporaryDirectory?: ByteString | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ExportProgress) => void) | undefined;
}

/** How far it is. Bytes are those of layers without compression. */
export interface ExportProgress {
  readonly layers: number;
  readonly totalLayers: number;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** A layer, or a blob of an artifact, as it was written. */
export interface ExportedLayer {
  readonly diffId: OciDigest;
  readonly digest: OciDigest;
  readonly size: number;
  /** The digest that it came with. */
  readonly originalDigest: OciDigest;
  /** Whether the target had it. */
  readonly wasThere: boolean;
  /** Why it is plain zstd though zstd:chunked was wanted. */
  readonly notChunked?: string;
}

/** What was written. */
export interface ExportReport {
  readonly manifestDigest: OciDigest;
  /** The digest of the manifest in the repository. */
  readonly originalManifestDigest: OciDigest;
  readonly layers: readonly ExportedLayer[];
}

const TEMPORARY_DIRECTORY = "/var/tmp" as ByteString;

/**
 * Exports an image. The caller closes the target, which makes the image visible. Throws `object-corrupt`,
 * `object-missing`, and what the target throws.
 */
export async function exportImage(
  repo: Repository,
  image: OciImage,
  target: ImageTarget,
  options: ExportOptions = {},
): Promise<ExportReport> {
  const reading = { repo, zstd: await loadZstd(), signal: options.signal };
  const sizes = image.layers.map(({ diffId }) => layerArchiveSize(reading, diffId));
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  const writer = new LayerWriter(reading, target, options, (bytes, layers) =>
    options.onProgress?.({ layers, totalLayers: sizes.length, bytes, totalBytes }),
  );
  const layers: ExportedLayer[] = [];
  const descriptors: Descriptor[] = [];
  for (const [i, layer] of image.layers.entries()) {
    const isBlob = image.config === undefined;
    const { descriptor, ...how } = await writer.write(layer, sizes[i]!, isBlob);
    const { digest, size } = descriptor;
    const originalDigest = layer.descriptor.digest;
    layers.push({ diffId: layer.diffId, digest, size, originalDigest, ...how });
    descriptors.push(descriptor);
  }
  const { config } = image.manifest;
  if (!(await target.hasBlob(config))) await target.putBlob(config, once(image.configBytes));
  const isSame = layers.every(({ digest, originalDigest }) => digest === originalDigest);
  const bytes = isSame ? image.manifestBytes : rewriteManifest(image.manifestBytes, descriptors);
  const mediaType = isSame ? image.manifest.mediaType : MEDIA_TYPE.ociManifest;
  return {
    manifestDigest: await target.putManifest(bytes, mediaType, options.tag ?? target.tag),
    originalManifestDigest: image.manifestDigest,
    layers,
  };
}

interface WrittenLayer {
  readonly descriptor: Descriptor;
  readonly wasThere: boolean;
  readonly notChunked?: string;
}

class LayerWriter {
  readonly #reading: LayerReading;
  readonly #target: ImageTarget;
  readonly #options: ExportOptions;
  readonly #tell: (bytes: number, layers: number) => void;
  /** A layer that the image has twice is written once. */
  readonly #written = new Map<string, WrittenLayer>();
  #bytes = 0;
  #layers = 0;

  constructor(
    reading: LayerReading,
    target: ImageTarget,
    options: ExportOptions,
    tell: (bytes: number, layers: number) => void,
  ) {
    this.#reading = reading;
    this.#target = target;
    this.#options = options;
    this.#tell = tell;
  }

  async write(
    { descriptor, diffId }: OciLayer,
    size: number,
    isBlob: boolean,
  ): Promise<WrittenLayer> {
    const compression = isBlob ? "none" : (this.#options.compression ?? compressionOf(descriptor));
    const before = this.#bytes;
    const key = `${compression} ${diffId}`;
    let written = this.#written.get(key);
    if (written === undefined) {
      const mediaType = isBlob
        ? descriptor.mediaType
        : layerMediaType(compression === "zstd:chunked" ? "zstd" : compression);
      written =
        compression === "none"
          ? await this.#writePlain({ mediaType, digest: diffId, size, annotations: {} })
          : await this.#writeCompressed(diffId, mediaType, compression);
      this.#written.set(key, written);
    }
    this.#bytes = before + size;
    this.#layers++;
    this.#tell(this.#bytes, this.#layers);
    return written;
  }

  async #writePlain(descriptor: Descriptor): Promise<WrittenLayer> {
    const wasThere = await this.#target.hasBlob(descriptor);
    if (!wasThere) await this.#target.putBlob(descriptor, this.#read(descriptor.digest));
    return { descriptor, wasThere };
  }

  async #writeCompressed(
    diffId: OciDigest,
    mediaType: string,
    compression: ExportCompression,
  ): Promise<WrittenLayer> {
    const { level, signal, temporaryDirectory = TEMPORARY_DIRECTORY } = this.#options;
    const archive = this.#read(diffId);
    const chunked =
      compression === "zstd:chunked" ? writeChunkedLayer(archive, this.#reading.zstd) : undefined;
    const content = chunked?.blob ?? compressLayer(archive, compression as LayerCompression, level);
    const spool = await spoolContent(content, temporaryDirectory);
    try {
      const { digest, size } = spool;
      const { annotations = {}, refusal } = chunked?.result() ?? {};
      const descriptor = { mediaType, digest, size, annotations };
      const wasThere = await this.#target.hasBlob(descriptor);
      if (!wasThere) await this.#target.putBlob(descriptor, spool.read(signal));
      return { descriptor, wasThere, ...(refusal === undefined ? {} : { notChunked: refusal }) };
    } finally {
      spool.close();
    }
  }

  async *#read(diffId: OciDigest): AsyncGenerator<Uint8Array, void> {
    for await (const bytes of readLayerArchive(this.#reading, diffId)) {
      this.#bytes += bytes.length;
      this.#tell(this.#bytes, this.#layers);
      yield bytes;
    }
  }
}

/** How a layer came. */
function compressionOf({ mediaType, annotations }: Descriptor): ExportCompression {
  const compression = layerCompression(mediaType) ?? "none";
  const isChunked = Object.hasOwn(annotations, CHUNKED_ANNOTATION.tocPosition);
  return compression === "zstd" && isChunked ? "zstd:chunked" : compression;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
