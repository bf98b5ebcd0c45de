/** Images of zstd:chunked layers in layout directories, honest and not. */

import { Buffer } from "node:buffer";
import type { Descriptor } from "#src/core/mod.ts";
import { encodeChunkedFooter, formatChunkedAnnotations } from "#src/core/chunked/positions.ts";
import { storeZstdFrame } from "#src/core/splitstream/zstd-frame.ts";
import { indexOf, sha256 } from "./chunked.ts";
import type { ChunkedBlob } from "./chunked.ts";
import { LayoutWriter } from "./images.ts";
import { storedZstd } from "./zstd.ts";

/** A layer as it goes into an image. */
export interface LayerBlob {
  readonly blob: Uint8Array;
  readonly annotations: Readonly<Record<string, string>>;
  /** The archive that it stands for. */
  readonly archive: Uint8Array;
}

/** Adds an image of these layers to a layout directory; returns the descriptors of the layers. */
export function addChunkedImage(
  directory: string,
  tag: string,
  layers: readonly LayerBlob[],
): readonly Descriptor[] {
  const layout = new LayoutWriter(directory);
  const descriptors = layers.map(({ blob, annotations }) => ({
    ...layout.put(blob, "application/vnd.oci.image.layer.v1.tar+zstd"),
    annotations,
  }));
  const config = layout.json("application/vnd.oci.image.config.v1+json", {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: {
      type: "layers",
      diff_ids: layers.map(({ archive }) => `sha256:${sha256(archive)}`),
    },
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = { schemaVersion: 2, mediaType, config, layers: descriptors };
  layout.tag(layout.json(mediaType, manifest), tag);
  return descriptors;
}

/** What may be changed of a blob, digests put right afterwards. */
export interface Changes {
  readonly data?: (data: Buffer) => Buffer;
  readonly toc?: (toc: Record<string, any>) => void;
  /** Records of the tar-split. */
  readonly tarSplit?: (records: Record<string, any>[]) => void;
}

/** The same blob with another TOC, tar-split or data, which its annotations vouch for. */
export function changedBlob(made: ChunkedBlob, changes: Changes): ChunkedBlob {
  const { toc, tocJson, tarSplit } = indexOf(made, storedZstd);
  const json = JSON.parse(tocJson.toString());
  const records = tarSplit
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  changes.tarSplit?.(records);
  const lines = Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  const packedSplit = storeZstdFrame([lines]);
  json.tarSplitDigest = `sha256:${sha256(packedSplit)}`;
  changes.toc?.(json);
  const text = Buffer.from(JSON.stringify(json));
  const packedToc = storeZstdFrame([text]);

  const lastEnd = Math.max(...toc.entries.map(({ chunks }) => chunks.at(-1)?.end ?? 0));
  const end = made.blob.indexOf(Buffer.from([0x50, 0x2a, 0x4d, 0x18]), lastEnd);
  const data =
    changes.data?.(Buffer.from(made.blob.subarray(0, end))) ?? made.blob.subarray(0, end);
  const tocOffset = data.length + 8;
  const positions = {
    toc: { offset: tocOffset, length: packedToc.length, uncompressedLength: text.length },
    tarSplit: {
      offset: tocOffset + packedToc.length + 8,
      length: packedSplit.length,
      uncompressedLength: lines.length,
    },
  };
  const blob = Buffer.concat([
    data,
    ...[packedToc, packedSplit, encodeChunkedFooter(positions)].flatMap(skippable),
  ]);
  const annotations = formatChunkedAnnotations(positions, sha256(packedToc));
  return { blob, annotations, refusal: undefined, size: blob.length };
}

function skippable(content: Uint8Array): Uint8Array[] {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a50, 0);
  header.writeUInt32LE(content.length, 4);
  return [header, content];
}
