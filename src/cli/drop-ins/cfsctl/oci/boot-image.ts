/**
 * Finds out how the bootable EROFS image with a digest was made: its format, and which xattrs it has. An
 * older boot entry may name one that the repository would not make today.
 */

import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import type { FormatVersion } from "../../../../core/erofs/version.ts";
import { writeImage } from "../../../../core/erofs/writer.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import type { FsVerityDigest } from "../../../../core/fsverity/digest.ts";
import { computeFsVerityDigest } from "../../../../core/fsverity/hasher.ts";
import type { OciDigest } from "../../../../core/oci/mod.ts";
import { validateTree } from "../../../../core/tree/validate.ts";
import { blockHash, loadZstd } from "../../../../floor/mod.ts";
import type { Zstd } from "../../../../floor/mod.ts";
import {
  erofsRefName,
  findErofs,
  openManifest,
  openOciImage,
  putConfig,
  putManifest,
} from "../../../../store/mod.ts";
import type { ErofsVariant, OciImage, Repository, Transaction } from "../../../../store/mod.ts";
import { composeTree } from "./rootfs.ts";

/** How an image was made. */
export interface FoundBootImage {
  readonly version: 1 | 2;
  readonly xattrs: "allowlist-only" | "keep-user-xattrs";
}

const VERSIONS = [1, 2] as const;

/** Finds the image, and stores it with the OCI image. Throws `verity-mismatch` if it cannot be made. */
export async function findBootImage(
  repository: Repository,
  manifestDigest: OciDigest,
  expected: FsVerityDigest,
): Promise<FoundBootImage> {
  const zstd = await loadZstd();
  const image = openManifest(repository, manifestDigest, zstd);
  let tried = 0;
  for (const keepUserXattrs of [false, true]) {
    const xattrs = keepUserXattrs ? "keep-user-xattrs" : "allowlist-only";
    const variants = VERSIONS.map((version) => ({ version, bootable: true, keepUserXattrs }));
    const known = variants.find((variant) => findErofs(image, variant) === expected);
    if (known !== undefined) return { version: known.version, xattrs };
    const missing = variants.filter((variant) => findErofs(image, variant) === undefined);
    tried += VERSIONS.length;
    if (missing.length === 0) continue;
    const diffIds = image.layers.map(({ diffId }) => diffId);
    const options = { bootable: true, keepUserXattrs };
    const tree = validateTree(composeTree(repository, diffIds, zstd, options));
    for (const variant of missing) {
      const bytes = writeImage(tree, { version: variant.version });
      if (computeFsVerityDigest(bytes, blockHash(repository.algorithm)) !== expected) continue;
      await store(repository, image, variant, bytes, zstd);
      return { version: variant.version, xattrs };
    }
  }
  throw new ComposefsError(
    "verity-mismatch",
    `Cannot make a bootable image ${expected} of ${manifestDigest}: tried ${tried} combinations of xattrs and formats`,
  );
}

/**
 * Stores bootable images, and lets the config of an image that is named by a tag refer to them, so that
 * they stay as long as it does. Returns their digests.
 */
export async function linkBootImages(
  repository: Repository,
  reference: ByteString,
  images: ReadonlyMap<FormatVersion, Uint8Array>,
  zstd: Zstd,
): Promise<ReadonlyMap<FormatVersion, FsVerityDigest>> {
  const transaction = repository.begin();
  const digests = new Map(
    [...images].map(([version, bytes]) => [version, transaction.putImage(bytes)] as const),
  );
  if (!reference.startsWith("@")) {
    const image = openOciImage(repository, reference, zstd);
    const names = [...digests].map(([version, digest]) => {
      const name = erofsRefName({ version, bootable: true, keepUserXattrs: false });
      return [name, digest] as const;
    });
    relink(transaction, image, names, zstd);
  }
  await transaction.commit();
  return digests;
}

async function store(
  repository: Repository,
  image: OciImage,
  variant: ErofsVariant,
  bytes: Uint8Array,
  zstd: Zstd,
): Promise<void> {
  const transaction = repository.begin();
  relink(transaction, image, [[erofsRefName(variant), transaction.putImage(bytes)]], zstd);
  await transaction.commit();
}

/** Writes the streams of config and manifest anew, with more images. */
function relink(
  transaction: Transaction,
  image: OciImage,
  more: readonly (readonly [name: ByteString, digest: FsVerityDigest])[],
  zstd: Zstd,
): void {
  const { configDigest, manifestDigest, layers } = image;
  const erofs = new Map([...image.erofs, ...more]);
  const config = { digest: configDigest, bytes: image.configBytes };
  const stream = putConfig(transaction, config, layers, erofs, zstd);
  const manifest = { digest: manifestDigest, bytes: image.manifestBytes };
  putManifest(transaction, manifest, { digest: configDigest, stream }, layers, zstd);
}
