/** Whole images for tests: layers, config and manifest as blobs, and a layout directory of them. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { MEDIA_TYPE, layerMediaType, ociDigestAlgorithm, ociDigestHex } from "#src/core/mod.ts";
import type { Descriptor, LayerCompression, OciAlgorithm, OciDigest } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { descriptorOf, jsonBytes, ociDigestOf } from "./oci-documents.ts";
import { archive, member } from "./tar-bytes.ts";

/** An image in memory. */
export interface TestImage {
  readonly descriptor: Descriptor;
  readonly manifest: Buffer;
  readonly config: Buffer;
  /** The archives of the layers, without compression, the lowest first. */
  readonly layers: readonly Buffer[];
  readonly diffIds: readonly OciDigest[];
  /** Everything by its digest, the manifest as well. */
  readonly blobs: ReadonlyMap<OciDigest, Buffer>;
}

/** What an image is made of. */
export interface TestImageOptions {
  readonly layers?: readonly Buffer[];
  /** Of the layers, one after the other, and again from the start. */
  readonly compression?: readonly LayerCompression[];
  readonly algorithm?: OciAlgorithm;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** Two small layers, and one that takes several reads. */
export const SAMPLE_LAYERS: readonly Buffer[] = [
  archive(
    member({ name: "etc/", typeflag: "5", mode: 0o755 }),
    member({ name: "etc/motd" }, "welcome\n"),
    member({ name: "big" }, Buffer.alloc(3_000_000, "0123456789abcdefg")),
  ),
  archive(member({ name: "etc/.wh.motd" }), member({ name: "etc/issue" }, "x".repeat(100))),
  archive(member({ name: "link", typeflag: "2", linkname: "big" })),
];

/** Makes an image; the same options, the same bytes. */
export async function makeImage(options: TestImageOptions = {}): Promise<TestImage> {
  const { layers = SAMPLE_LAYERS, compression = ["gzip"], algorithm = "sha256" } = options;
  const platform = options.platform ?? { os: "linux", architecture: "amd64" };
  const blobs = new Map<OciDigest, Buffer>();
  const put = (bytes: Buffer, mediaType: string): Descriptor => {
    const descriptor = descriptorOf(bytes, mediaType, algorithm);
    blobs.set(descriptor.digest, bytes);
    return descriptor;
  };
  const stored: Descriptor[] = [];
  for (const [i, layer] of layers.entries()) {
    const how = compression[i % compression.length]!;
    stored.push(put(await compressLayer(layer, how), layerMediaType(how)));
  }
  const diffIds = layers.map((layer) => ociDigestOf(layer));
  const config = jsonBytes({
    created: "2026-01-02T03:04:05Z",
    ...platform,
    config: { Cmd: ["/bin/true"] },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: layers.map((_, i) => ({ created_by: `layer ${i}` })),
  });
  const manifest = jsonBytes({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: withoutEmpty(put(config, MEDIA_TYPE.ociConfig)),
    layers: stored.map(withoutEmpty),
  });
  const descriptor = put(manifest, MEDIA_TYPE.ociManifest);
  return { descriptor, manifest, config, layers, diffIds, blobs };
}

/** A layer as it is stored. */
export async function compressLayer(layer: Buffer, how: LayerCompression): Promise<Buffer> {
  if (how === "none") return layer;
  if (how === "gzip") return gzipSync(layer);
  const { compression } = await loadZstd("libzstd");
  return Buffer.from(compression!.compressFrame([layer]));
}

function withoutEmpty({ annotations, ...rest }: Descriptor): object {
  return Object.keys(annotations).length === 0 ? rest : { ...rest, annotations };
}

/** What the index of a layout has of an image. */
export interface LayoutEntry {
  readonly descriptor: Descriptor;
  readonly blobs: ReadonlyMap<OciDigest, Buffer>;
  readonly tag?: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** Writes a layout directory. */
export function writeLayout(directory: string, entries: readonly LayoutEntry[]): void {
  const manifests = entries.map(({ descriptor, blobs, tag, platform }) => {
    for (const [digest, bytes] of blobs) {
      const path = join(directory, "blobs", ociDigestAlgorithm(digest));
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, ociDigestHex(digest)), bytes);
    }
    const annotations = {
      ...descriptor.annotations,
      ...(tag === undefined ? {} : { "org.opencontainers.image.ref.name": tag }),
    };
    return withoutEmpty({
      ...descriptor,
      annotations,
      ...(platform === undefined ? {} : { platform: { variant: undefined, ...platform } }),
    });
  });
  writeFileSync(join(directory, "index.json"), jsonBytes({ schemaVersion: 2, manifests }));
  writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}
