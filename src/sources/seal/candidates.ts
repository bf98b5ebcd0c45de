/**
 * Artifacts that may be seals of an image: those of a repository, and those where it comes from.
 */

import type { Descriptor } from "../../core/oci/descriptor.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { SEAL_ARTIFACT_TYPE } from "../../core/oci/seal.ts";
import type { Zstd } from "../../floor/mod.ts";
import { findImage, listReferrers, readBlob } from "../../store/mod.ts";
import type { Repository } from "../../store/mod.ts";
import type { ImageSource, SourceCallOptions } from "../image-source.ts";
import type { SealCandidate } from "./verify-seal.ts";

/** As the kernel has it. */
const SIGNATURE_SIZE_MAX = 16128;
/** Who attaches more wants to keep us busy. */
const CANDIDATES_MAX = 32;

/** The artifacts of a repository that are seals of a manifest, or say so; those that are damaged are left out. */
export function repositoryCandidates(
  repo: Repository,
  subject: OciDigest,
  zstd: Zstd,
): SealCandidate[] {
  return listReferrers(repo, subject).flatMap((digest) => {
    const artifact = findImage(repo, digest, zstd);
    if (artifact?.manifest.artifactType !== SEAL_ARTIFACT_TYPE) return [];
    return {
      digest,
      readManifest: async () => artifact.manifestBytes,
      readBlob: async (blob) => readBlob(repo, checkedSize(blob).digest, zstd, SIGNATURE_SIZE_MAX),
    };
  });
}

/** The artifacts that a source has about a manifest. A source without referrers has none. */
export async function sourceCandidates(
  source: ImageSource,
  subject: OciDigest,
  options: SourceCallOptions = {},
): Promise<SealCandidate[]> {
  const asked = { ...options, artifactType: SEAL_ARTIFACT_TYPE };
  const referrers = (await source.referrers?.(subject, asked)) ?? [];
  const candidates: SealCandidate[] = [];
  for (const descriptor of referrers) {
    // Who filters does not have to say by what.
    if ((descriptor.artifactType ?? SEAL_ARTIFACT_TYPE) !== SEAL_ARTIFACT_TYPE) continue;
    if (candidates.length === CANDIDATES_MAX) break;
    candidates.push({
      digest: descriptor.digest,
      readManifest: () => source.readManifest(descriptor, options),
      readBlob: (blob) => source.readManifest(checkedSize(blob), options),
    });
  }
  return candidates;
}

function checkedSize(blob: Descriptor): Descriptor {
  if (blob.size <= SIGNATURE_SIZE_MAX) return blob;
  throw new ComposefsError(
    "invalid-signature",
    `Cannot read signature ${blob.digest}: it is larger than ${SIGNATURE_SIZE_MAX} bytes`,
  );
}
