/** Small OCI images in layout directories, for what carries images about. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Descriptor, OciDigest } from "#src/core/mod.ts";

interface LayoutIndex {
  readonly schemaVersion: number;
  readonly manifests: object[];
}

/** A layout directory that is written to. */
export class LayoutWriter {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
    writeFileSync(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  }

  /** Stores bytes and returns what names them. */
  put(bytes: Uint8Array, mediaType: string): Descriptor {
    const descriptor = describe(bytes, mediaType);
    writeFileSync(join(this.#directory, "blobs", descriptor.digest.replace(":", "/")), bytes);
    return descriptor;
  }

  /** Stores an image of layers, gzip over whatever bytes they are; returns its manifest. */
  image(layers: readonly Uint8Array[], fields: object = {}): Descriptor {
    const compressed = layers.map((layer) =>
      this.put(gzipSync(layer, { level: 1 }), "application/vnd.oci.image.layer.v1.tar+gzip"),
    );
    const config = this.json("application/vnd.oci.image.config.v1+json", {
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: layers.map((each) => describe(each, "").digest) },
    });
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    return this.json(mediaType, {
      schemaVersion: 2,
      mediaType,
      config,
      layers: compressed,
      ...fields,
    });
  }

  /** Stores a JSON document. */
  json(mediaType: string, value: object): Descriptor {
    return this.put(Buffer.from(JSON.stringify(value)), mediaType);
  }

  /** Gives a manifest or index a name in the layout. */
  tag(descriptor: Descriptor, name: string): void {
    const path = join(this.#directory, "index.json");
    const empty: LayoutIndex = { schemaVersion: 2, manifests: [] };
    const index = existsSync(path)
      ? (JSON.parse(readFileSync(path, "utf8")) as LayoutIndex)
      : empty;
    const annotations = { "org.opencontainers.image.ref.name": name };
    index.manifests.push({ ...descriptor, annotations });
    writeFileSync(path, JSON.stringify(index));
  }

  /** The bytes of a blob. */
  read(descriptor: { readonly digest: string }): Buffer {
    return readFileSync(join(this.#directory, "blobs", descriptor.digest.replace(":", "/")));
  }
}

/** A descriptor of bytes. */
export function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}` as OciDigest;
  return { mediaType, digest, size: bytes.length, annotations: {} };
}

/** Bytes that look like chance and are the same each time. */
export function pattern(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at + 4 <= size; at += 4) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, at);
  }
  return bytes;
}
