/**
 * Seals an image that is in a repository: computes its digests, signs them, and stores them in a new
 * manifest or in an artifact.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { formattedDigest } from "../../core/fsverity/formatted-digest.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { SealRole } from "../../core/oci/seal-key.ts";
import { sealArtifact, sealManifest } from "../../core/oci/write-seal.ts";
import type { NewSealEntry } from "../../core/oci/write-seal.ts";
import type { Zstd } from "../../floor/mod.ts";
import { manifestStreamName, putArtifact, putManifest, tagRef } from "../../store/mod.ts";
import type { OciImage, Repository } from "../../store/mod.ts";
import { sha256Digest } from "../sha256-digest.ts";
import { actualDigest, sealedImageOf } from "./sealed-image.ts";
import type { Signer } from "./signer.ts";

/** How an image is sealed. */
export interface SealOptions {
  /** For people. */
  readonly name: string;
  /** Where the seal goes: into a new manifest of the image, or into an artifact about it. */
  readonly mode: "inline" | "artifact";
  /** Who signs; without one there are digests alone. */
  readonly signer: Signer | undefined;
  /** Seal the bootable image too. */
  readonly bootable: boolean;
  /** Seal each layer too, in the manifest. */
  readonly layers: boolean;
  /** A tag for the new manifest, or for the artifact. */
  readonly tag: ByteString | undefined;
}

/** What was made. */
export interface SealedResult {
  /** Of the sealed image: another one than before when the seal is in the manifest. */
  readonly manifestDigest: OciDigest;
  readonly artifact: OciDigest | undefined;
  readonly entries: readonly {
    readonly role: SealRole;
    readonly layer: number | undefined;
    readonly digest: FsVerityDigest;
  }[];
}

/** Seals an image. Throws `incomplete-rootfs` for what is no bootable image, and what the repository throws. */
export async function sealImage(
  repo: Repository,
  image: OciImage,
  options: SealOptions,
  zstd: Zstd,
): Promise<SealedResult> {
  repo.assertWritable();
  const entries = await newEntries(repo, image, options, zstd);
  const transaction = repo.begin();
  try {
    const stored =
      options.mode === "inline"
        ? { artifact: undefined, manifestDigest: putInline() }
        : { artifact: putAsArtifact(), manifestDigest: image.manifestDigest };
    await transaction.commit();
    return {
      ...stored,
      entries: entries.map(({ role, layer, digest }) => ({ role, layer, digest })),
    };
  } catch (error) {
    transaction.discard();
    throw error;
  }

  function putInline(): OciDigest {
    const bytes = sealManifest(image.manifestBytes, repo.algorithm, entries);
    const digest = sha256Digest(bytes);
    const config = { digest: image.configDigest, stream: image.configStream };
    putManifest(transaction, { digest, bytes }, config, image.layers, zstd);
    if (options.tag !== undefined) {
      transaction.setRef("streams", tagRef(options.tag), manifestStreamName(digest));
    }
    return digest;
  }

  function putAsArtifact(): OciDigest {
    const { manifestBytes, manifestDigest: digest, manifest } = image;
    const subject = { mediaType: manifest.mediaType, digest, size: manifestBytes.length };
    const made = sealArtifact(subject, repo.algorithm, entries, sha256Digest);
    const document = { digest: sha256Digest(made.manifest), bytes: made.manifest };
    const blobs = made.blobs.map(({ descriptor, bytes }) => ({ digest: descriptor.digest, bytes }));
    putArtifact(transaction, { manifest: document, blobs }, options.tag, zstd);
    return document.digest;
  }
}

async function newEntries(
  repo: Repository,
  image: OciImage,
  { name, mode, signer, bootable, layers }: SealOptions,
  zstd: Zstd,
): Promise<NewSealEntry[]> {
  const sealed = sealedImageOf(repo, image, name, zstd);
  const wanted: { role: SealRole; layer?: number }[] = [];
  if (mode === "artifact") wanted.push({ role: "manifest" });
  wanted.push({ role: "config" });
  if (layers) wanted.push(...image.layers.map((_, layer) => ({ role: "layer" as const, layer })));
  wanted.push({ role: "merged" });
  if (bootable) wanted.push({ role: "merged.bootable" });
  const entries: NewSealEntry[] = [];
  for (const { role, layer } of wanted) {
    const digest = await actualDigest(sealed, role, layer);
    const signature = signer?.sign(formattedDigest(digest), repo.algorithm);
    entries.push({ role, digest, signature, ...(layer === undefined ? {} : { layer }) });
  }
  return entries;
}
