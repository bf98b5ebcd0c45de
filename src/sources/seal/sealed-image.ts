/**
 * An image as seals see it: its documents, and the digests of the EROFS images that can be made of it.
 */

import { computeFsVerityDigest } from "../../core/fsverity/hasher.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";
import { ComposefsError } from "../../core/errors.ts";
import { canonicalizeLayer } from "../../core/oci/canonical.ts";
import { mergeLayers } from "../../core/oci/merge.ts";
import type { Manifest } from "../../core/oci/manifest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { SEALED_EROFS_VERSION } from "../../core/oci/seal-key.ts";
import type { SealRole } from "../../core/oci/seal-key.ts";
import { blockHash } from "../../floor/mod.ts";
import type { Zstd } from "../../floor/mod.ts";
import { composeImage, readRepositoryLayer, writeErofsImages } from "../../store/mod.ts";
import type { OciImage, Repository } from "../../store/mod.ts";
import type { Directory } from "../../core/tree/node.ts";

/** What a seal can be compared with. Nothing of it comes out of a seal. */
export interface SealedImage {
  /** For people. */
  readonly name: string;
  readonly algorithm: FsVerityAlgorithm;
  readonly manifestDigest: OciDigest;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly configBytes: Uint8Array;
  /** The digest of an EROFS image of version 1; of one layer, for that role. */
  erofsDigest(role: SealRole, layer: number | undefined): Promise<FsVerityDigest>;
}

/**
 * An image that is in a repository: its EROFS images are made anew, from the streams of its layers. Throws
 * `invalid-manifest` for an artifact; `erofsDigest` rejects where a stream or object cannot be read.
 */
export function sealedImageOf(
  repo: Repository,
  image: OciImage,
  name: string,
  zstd: Zstd,
): SealedImage {
  if (image.config === undefined) {
    throw new ComposefsError("invalid-manifest", `Cannot seal "${name}": it is an artifact`);
  }
  return {
    ...{ name, algorithm: repo.algorithm, manifestDigest: image.manifestDigest },
    ...{ manifest: image.manifest, manifestBytes: image.manifestBytes },
    configBytes: image.configBytes,
    erofsDigest: async (role, layer) =>
      digestOfTree(treeOf(repo, image, role, layer, zstd), repo.algorithm),
  };
}

/** The digest of the EROFS image, of the version of seals, that a tree makes. */
function digestOfTree(root: Directory, algorithm: FsVerityAlgorithm): FsVerityDigest {
  const bytes = writeErofsImages(root, [SEALED_EROFS_VERSION]).get(SEALED_EROFS_VERSION)!;
  return computeFsVerityDigest(bytes, blockHash(algorithm));
}

function treeOf(
  repo: Repository,
  image: OciImage,
  role: SealRole,
  layer: number | undefined,
  zstd: Zstd,
): Directory {
  if (role === "layer") {
    const { diffId } = image.layers[layer ?? 0]!;
    return canonicalizeLayer(mergeLayers([readRepositoryLayer(repo, diffId, zstd)]));
  }
  const bootable = role === "merged.bootable";
  return composeImage(repo, image, zstd, { bootable });
}

/** The fs-verity digest of a document of an image, or of one of its EROFS images. */
export async function actualDigest(
  image: SealedImage,
  role: SealRole,
  layer: number | undefined,
): Promise<FsVerityDigest> {
  const { algorithm } = image;
  switch (role) {
    case "manifest":
      return computeFsVerityDigest(image.manifestBytes, blockHash(algorithm));
    case "config":
      return computeFsVerityDigest(image.configBytes, blockHash(algorithm));
    case "layer":
    case "merged":
    case "merged.bootable":
      return image.erofsDigest(role, layer);
  }
}
