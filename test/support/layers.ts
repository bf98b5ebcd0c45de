/** OCI layers in tests: archives to layers, layers to image digests, layout directories for peers. */

import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CONTENT_TYPE,
  LAYER_INLINE_MAX,
  LayerBuilder,
  SplitStreamWriter,
  TarReader,
  computeFsVerityDigest,
  isStoredAsObject,
  layerEntryOf,
  mergeLayers,
  objectPath,
  validateTree,
  writeImage,
} from "#src/core/mod.ts";
import type {
  Directory,
  FileContent,
  FormatVersion,
  FsVerityAlgorithm,
  FsVerityDigest,
  LayerDirectory,
  LayerEntry,
  LayerOptions,
  MergeOptions,
  TarEvent,
} from "#src/core/mod.ts";
import { nodeHash } from "./hash.ts";
import { readArchive } from "./tar-bytes.ts";

/** What a tree holds of a file of this content. */
export function contentOf(data: Uint8Array, algorithm: FsVerityAlgorithm): FileContent {
  if (data.length <= LAYER_INLINE_MAX) return { kind: "inline", data: Uint8Array.from(data) };
  const digest = computeFsVerityDigest(data, nodeHash(algorithm));
  return { kind: "external", size: data.length, digest, path: objectPath(digest) };
}

/** The entries of an archive. */
export function entriesOf(
  archive: Uint8Array,
  algorithm: FsVerityAlgorithm = "sha256",
): LayerEntry[] {
  const { entries } = readArchive(archive, { globalRecords: "ignore" });
  return entries.map((entry) => layerEntryOf(entry, contentOf(entry.content, algorithm)));
}

/** An archive as a layer. */
export function layerOf(
  archive: Uint8Array,
  options: LayerOptions = {},
  algorithm: FsVerityAlgorithm = "sha256",
): LayerDirectory {
  const builder = new LayerBuilder(options);
  for (const entry of entriesOf(archive, algorithm)) builder.add(entry);
  return builder.finish();
}

/** The merged tree of archives, the lowest first. */
export function mergeArchives(
  archives: readonly Uint8Array[],
  options: MergeOptions & LayerOptions = {},
  algorithm: FsVerityAlgorithm = "sha256",
): Directory {
  return mergeLayers(
    archives.map((archive) => layerOf(archive, options, algorithm)),
    options,
  );
}

/** The digest of the image that a tree makes. */
export function imageDigest(
  root: Directory,
  version: FormatVersion,
  algorithm: FsVerityAlgorithm,
): string {
  return computeFsVerityDigest(writeImage(validateTree(root), { version }), nodeHash(algorithm));
}

/** An archive as a splitstream, and the objects that it needs, by digest. */
export function splitLayer(
  archive: Uint8Array,
  algorithm: FsVerityAlgorithm = "sha256",
): { readonly stream: Uint8Array; readonly objects: ReadonlyMap<FsVerityDigest, Uint8Array> } {
  const writer = new SplitStreamWriter({ algorithm, contentType: CONTENT_TYPE.ociLayer });
  const objects = new Map<FsVerityDigest, Uint8Array>();
  let object: Uint8Array[] | undefined;
  const take = (event: TarEvent): void => {
    switch (event.kind) {
      case "raw":
        writer.writeInline(event.bytes);
        return;
      case "entry":
        object = isStoredAsObject(event.entry) ? [] : undefined;
        return;
      case "data":
        if (object === undefined) writer.writeInline(event.bytes);
        else object.push(event.bytes.slice());
        return;
      case "end-of-entry": {
        if (object === undefined) return;
        const content = Buffer.concat(object);
        const digest = computeFsVerityDigest(content, nodeHash(algorithm));
        objects.set(digest, content);
        writer.writeExternal(content.length, digest);
      }
    }
  };
  const reader = new TarReader();
  for (const event of reader.push(archive)) take(event);
  for (const event of reader.finish()) take(event);
  return { stream: writer.finish(), objects };
}

/** Writes an OCI layout directory with one image of these layers, not compressed. */
export function writeOciLayout(directory: string, archives: readonly Uint8Array[]): void {
  const put = (data: Uint8Array | string, mediaType: string): object => {
    const digest = createHash("sha256").update(data).digest("hex");
    writeFileSync(join(directory, "blobs/sha256", digest), data);
    return { mediaType, digest: `sha256:${digest}`, size: Buffer.from(data).length };
  };
  mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
  const layers = archives.map((each) => put(each, "application/vnd.oci.image.layer.v1.tar"));
  const diffIds = archives.map(
    (each) => `sha256:${createHash("sha256").update(each).digest("hex")}`,
  );
  const config = put(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: diffIds },
      history: archives.map(() => ({ created_by: "test" })),
    }),
    "application/vnd.oci.image.config.v1+json",
  );
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = put(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }), mediaType);
  const platform = { architecture: "amd64", os: "linux" };
  writeFileSync(
    join(directory, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, platform }] }),
  );
  writeFileSync(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}
