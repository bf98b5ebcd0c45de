/**
 * From the layers of an OCI image to its EROFS images: streams to trees, merged, in the canonical form,
 * written in the layouts that the repository has.
 */

import { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { objectPath } from "../../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { FormatVersion } from "../../core/erofs/version.ts";
import { writeImage } from "../../core/erofs/writer.ts";
import { ComposefsError } from "../../core/errors.ts";
import { canonicalizeBootableRootfs, canonicalizeRootfs } from "../../core/oci/canonical.ts";
import { LayerBuilder } from "../../core/oci/layer.ts";
import type { LayerDirectory, LayerOptions } from "../../core/oci/layer.ts";
import { mergeLayers } from "../../core/oci/merge.ts";
import { readLayer } from "../../core/oci/read-layer.ts";
import { labelTree } from "../../core/selinux/mod.ts";
import type { ContentReader } from "../../core/selinux/mod.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { CONTENT_TYPE } from "../../core/splitstream/format.ts";
import type { SplitStream } from "../../core/splitstream/reader.ts";
import type { TarEntry } from "../../core/tar/entry.ts";
import type { TarLimits } from "../../core/tar/limits.ts";
import type { Directory, FileContent } from "../../core/tree/node.ts";
import { validateTree } from "../../core/tree/validate.ts";
import { blockHash } from "../../floor/mod.ts";

/** How the tree of an image is made. */
export interface ComposeOptions {
  /** The form that is booted: `/boot` and `/sysroot` are empty, and files have SELinux labels. */
  readonly bootable?: boolean;
  /** Keep the `user.` xattrs of the layers; the digest is then another one. */
  readonly keepUserXattrs?: boolean;
  /** Reads content that lies in objects, for the policy by which a bootable image is labelled. */
  readonly readContent?: ContentReader | undefined;
}

/** How a layer's stream is read. */
export interface LayerTreeOptions extends LayerOptions {
  readonly decompression: Decompression;
  readonly tar?: Partial<TarLimits>;
  /** Gives the object of a sparse file with its holes filled. */
  readonly expandSparse: (entry: TarEntry, stored: FileContent) => FsVerityDigest;
}

/** Reads the tree of a layer out of its stream. Throws `corrupt-stream`, `invalid-layer`, `tar-limit`. */
export function readLayerTree(stream: SplitStream, options: LayerTreeOptions): LayerDirectory {
  if (stream.contentType !== CONTENT_TYPE.ociLayer) {
    throw new ComposefsError("unsupported-media-type", "Cannot use layer: it is no tar archive");
  }
  const { decompression, tar, expandSparse } = options;
  const builder = new LayerBuilder(options);
  const entries = readLayer(stream, {
    decompression,
    ...(tar === undefined ? {} : { tar: { limits: tar } }),
    expandSparse: (entry, stored) => {
      const digest = expandSparse(entry, stored);
      return { kind: "external", size: entry.size, digest, path: objectPath(digest) };
    },
  });
  for (const entry of entries) builder.add(entry);
  return builder.finish();
}

/** Merges layers, the lowest first, to the tree of an image. Throws `invalid-layer`, `incomplete-rootfs`. */
export function composeRootfs(
  layers: Iterable<LayerDirectory>,
  options: ComposeOptions = {},
): Directory {
  const { bootable = false, keepUserXattrs = false, readContent } = options;
  const rootfs = canonicalizeRootfs(mergeLayers(layers), { keepUserXattrs });
  if (!bootable) return rootfs;
  const bootRootfs = canonicalizeBootableRootfs(rootfs);
  return readContent === undefined ? bootRootfs : labelTree(bootRootfs, readContent);
}

/** Writes a tree in the layout of each version. Throws `invalid-tree` and `image-too-large`. */
export function writeErofsImages(
  root: Directory,
  versions: readonly FormatVersion[],
): Map<FormatVersion, Uint8Array> {
  const tree = validateTree(root);
  return new Map(versions.map((version) => [version, writeImage(tree, { version })]));
}

/** The digest of a sparse file with its holes filled; `stored` is what the archive has of it. */
export function digestSparse(
  { size, segments }: TarEntry,
  stored: Iterable<Uint8Array>,
  algorithm: FsVerityAlgorithm,
): FsVerityDigest {
  const hasher = new FsVerityHasher(blockHash(algorithm));
  let at = 0;
  const fill = (end: number): void => {
    while (at < end) {
      const hole = ZEROS.subarray(0, Math.min(ZEROS.length, end - at));
      hasher.update(hole);
      at += hole.length;
    }
  };
  const left = (segments ?? []).map(({ offset, size: length }) => ({ offset, length }));
  for (let piece of stored) {
    while (piece.length > 0) {
      const segment = left[0];
      if (segment === undefined) break;
      fill(segment.offset);
      const part = piece.subarray(0, segment.length);
      hasher.update(part);
      at += part.length;
      segment.offset += part.length;
      segment.length -= part.length;
      if (segment.length === 0) left.shift();
      piece = piece.subarray(part.length);
    }
  }
  fill(size);
  return hasher.digest();
}

const ZEROS = new Uint8Array(1 << 16);
