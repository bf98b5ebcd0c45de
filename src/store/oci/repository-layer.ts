/** Layers that are in the repository, as trees. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
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

/** Largest part of a sparse file that is in an archive; it is read into memory. */
const SPARSE_STORED_MAX = 2 ** 30;

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
      expandSparse: (entry, stored) => digestSparse(entry, [read(repo, stored)], repo.algorithm),
    });
  } finally {
    close();
  }
}

/** The tree of an image, in the form that its EROFS images have. Throws as {@link readRepositoryLayer}. */
export function composeImage(
  repo: Repository,
  image: OciImage,
  decompression: Decompression,
  options: ComposeOptions = {},
): Directory {
  const trees = new Map<OciDigest, LayerDirectory>();
  for (const { diffId } of image.layers) {
    if (!trees.has(diffId)) trees.set(diffId, readRepositoryLayer(repo, diffId, decompression));
  }
  return composeRootfs(
    image.layers.map(({ diffId }) => trees.get(diffId)!),
    options,
  );
}

function read(repo: Repository, stored: FileContent): Uint8Array {
  if (stored.kind === "inline") return stored.data;
  const digest: FsVerityDigest | undefined = stored.kind === "external" ? stored.digest : undefined;
  return digest === undefined ? new Uint8Array(0) : repo.readObject(digest, SPARSE_STORED_MAX);
}
