/** An image in a repository as a source of images: its layers come as bytes and open files. */

import { displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import type { Descriptor, OciDigest } from "../../../../core/oci/mod.ts";
import { joinSplitStream } from "../../../../core/splitstream/mod.ts";
import { close, fstat } from "../../../../floor/mod.ts";
import type { Zstd } from "../../../../floor/mod.ts";
import type { ImageSource, LayerPiece, ResolvedImage } from "../../../../sources/mod.ts";
import { layerStreamName, openOciImage } from "../../../../store/mod.ts";
import type { OciImage, Repository } from "../../../../store/mod.ts";
import { objectPieces } from "../streams.ts";

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

/** The repository stays the caller's. */
export class RepositorySource implements ImageSource {
  readonly name: string;
  readonly #repository: Repository;
  readonly #image: OciImage;
  readonly #zstd: Zstd;

  /** Throws `not-in-repository`, and what is thrown for damaged images. */
  constructor(repository: Repository, reference: ByteString, zstd: Zstd) {
    this.name = `${displayText(repository.path)}:${displayText(reference)}`;
    this.#repository = repository;
    this.#image = openOciImage(repository, reference, zstd);
    this.#zstd = zstd;
  }

  async resolve(): Promise<ResolvedImage> {
    const { manifestDigest: digest, manifestBytes: bytes, manifest } = this.#image;
    const mediaType = manifest.mediaType ?? MANIFEST_TYPE;
    return { descriptor: { mediaType, digest, size: bytes.length } as Descriptor, bytes };
  }

  async readManifest({ digest }: Descriptor): Promise<Uint8Array> {
    const { manifestDigest, manifestBytes, configDigest, configBytes } = this.#image;
    if (digest === manifestDigest) return manifestBytes;
    if (digest === configDigest) return configBytes;
    throw new ComposefsError("not-in-repository", `Cannot read ${digest} of "${this.name}"`);
  }

  /** Only what artifacts hold is here as it was stored. */
  async *openBlob({ digest }: Descriptor): AsyncGenerator<Uint8Array, void> {
    const opened = this.#repository.openStream(layerStreamName(digest));
    try {
      const pieces = joinSplitStream(opened.stream, this.#zstd, (object) =>
        objectPieces(this.#repository, object),
      );
      for (const piece of pieces) yield piece.slice();
    } finally {
      opened.close();
    }
  }

  /** The reader checks the diff ID of what comes out. */
  async *openLayer(_: Descriptor, diffId: OciDigest): AsyncGenerator<LayerPiece, void> {
    const opened = this.#repository.openStream(layerStreamName(diffId));
    try {
      for (const chunk of opened.stream.chunks(this.#zstd)) {
        if (chunk.kind === "inline") {
          yield { kind: "tar", bytes: chunk.bytes.slice() };
          continue;
        }
        const fd = this.#repository.openObject(chunk.digest);
        try {
          yield { kind: "file", fd, size: fstat(fd).size };
        } finally {
          close(fd);
        }
      }
    } finally {
      opened.close();
    }
  }

  async close(): Promise<void> {}
}
