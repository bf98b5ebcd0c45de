/**
 * Pulls that demand a seal: an image is looked at before it gets its name, and what sealed it is kept.
 */

import { parseManifest } from "../../core/oci/manifest.ts";
import { SEALED_EROFS_VERSION } from "../../core/oci/seal-key.ts";
import type { Zstd } from "../../floor/mod.ts";
import { putArtifact } from "../../store/mod.ts";
import type { Repository } from "../../store/mod.ts";
import type { PulledImage } from "../pull/options.ts";
import { sourceCandidates } from "./candidates.ts";
import type { TrustedCertificates } from "./trust.ts";
import { verifySeal } from "./verify-seal.ts";
import type { SealCandidate, VerifiedSeal } from "./verify-seal.ts";

/** What a pull demands of its image. For one pull each. */
export class SealDemand {
  readonly #trust: TrustedCertificates;
  readonly #repo: Repository;
  #held: VerifiedSeal | undefined;
  #candidates: readonly SealCandidate[] = [];

  constructor(repo: Repository, trust: TrustedCertificates) {
    this.#repo = repo;
    this.#trust = trust;
  }

  /** The seal that held; `undefined` before `check`. */
  get held(): VerifiedSeal | undefined {
    return this.#held;
  }

  /**
   * For `PullOptions.check`. Throws `verity-missing`, `verity-mismatch`, `invalid-signature`: see
   * {@link verifySeal}. What was fetched is then garbage, and nothing has a name.
   */
  readonly check = async (image: PulledImage): Promise<void> => {
    const { source, manifestDigest, manifest, manifestBytes, configBytes } = image;
    this.#candidates = await sourceCandidates(source, manifestDigest);
    const sealed = {
      ...{ name: source.name, algorithm: this.#repo.algorithm },
      ...{ manifestDigest, manifest, manifestBytes, configBytes },
      erofsDigest: (role: string) =>
        image.erofsDigest({
          version: SEALED_EROFS_VERSION,
          bootable: role === "merged.bootable",
          keepUserXattrs: false,
        }),
    };
    this.#held = await verifySeal(sealed, this.#candidates, { trust: this.#trust });
  };

  /** After the pull: stores the artifact with the seal, so that it can be verified again without a source. */
  async keep(zstd: Zstd): Promise<void> {
    const artifact = this.#candidates.find(({ digest }) => digest === this.#held?.artifact);
    if (artifact === undefined) return;
    const { digest } = artifact;
    const bytes = await artifact.readManifest();
    const manifest = parseManifest(bytes);
    const blobs = await Promise.all(
      [manifest.config, ...manifest.layers].map(async (blob) => {
        return { digest: blob.digest, bytes: await artifact.readBlob(blob) };
      }),
    );
    const transaction = this.#repo.begin();
    try {
      putArtifact(transaction, { manifest: { digest, bytes }, blobs }, undefined, zstd);
      await transaction.commit();
    } catch (error) {
      transaction.discard();
      throw error;
    }
  }
}
