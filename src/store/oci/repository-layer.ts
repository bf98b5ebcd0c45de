/** Layers that are in the repository, as trees. */

import type { LayerDirectory } from "../../core/oci/layer.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import type { TarLimits } from "../../core/tar/limits.ts";
import type { Directory, FileContent } from "../../core/tree/node.ts";
import type { Repository } from "../repository.ts";
import { composeRootfs, digestSparse, readLayerTree } from "./compose.ts";
import type { ComposeOptions } from "./compose.ts";
import type { OciImage } from "./image.ts";
import { layerStreamName } from "./names.ts";

/** Largest file that is read into memory: what an archive has of a sparse one, or a policy. */
const CONTENT_MAX = 2 ** 30;

/** Reads the tree of a layer. Throws `not-in-repository`, `corrupt-stream`, `invalid-layer`, … */
export function readRepositoryLayer(
  repo: Repository,
  diffId: OciDigest,
  decompression: Decompression,
  limits?: Partial<TarLimits>,
): LayerDirectory {
  const { stream, close } = repo.openStream(layerStreamName(diffId));
  try {
    return readLayerTree(stream, {
      decompression,
      ...(limits === undefined ? {} : { tar: limits }),
      expandSparse: (entry, stored) =>
        digestSparse(entry, [readContent(repo, stored, CONTENT_MAX)], repo.algorithm),
    });
  } finally {
    close();
  }
}

/**
 * The tree of an image, in the form that its EROFS images have; a bootable one is labelled by the policy
 * in it. Throws as {@link readRepositoryLayer}.
 */
export function composeImage(
  repo: Repository,
  image: OciImage,
  decompression: Decompression,
  options: Omit<ComposeOptions, "readContent"> = {},
): Directory {
  const trees = new Map<OciDigest, LayerDirectory>();
  for (const { diffId } of image.layers) {
    if (!trees.has(diffId)) trees.set(diffId, readRepositoryLayer(repo, diffId, decompression));
  }
  const layers = image.layers.map(({ diffId }) => trees.get(diffId)!);
  return composeRootfs(layers, { ...options, readContent: contentReader(repo) });
}

/**
 * Reads the content of files of a tree out of the objects of a repository, verified. The function throws
 * `object-missing`, `object-corrupt` and `verity-missing`.
 */
export function contentReader(repo: Repository): (content: FileContent) => Uint8Array {
  return (content) => readContent(repo, content, CONTENT_MAX);
}

function readContent(repo: Repository, content: FileContent, maxBytes: number): Uint8Array {
  if (content.kind === "inline") return content.data;
  const digest = content.kind === "external" ? content.digest : undefined;
  return digest === undefined ? new Uint8Array(0) : repo.readObject(digest, maxBytes);
}
