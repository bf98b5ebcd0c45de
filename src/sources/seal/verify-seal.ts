/**
 * Finds a seal of an image that holds: in its manifest, or in an artifact that is about it.
 *
 * What a seal claims is compared with what was computed here, and its signatures with what the user
 * trusts. There is no halfway: a seal that does not hold in one point does not count, and an image with
 * no other is refused.
 */

import { ComposefsError } from "../../core/errors.ts";
import { checkSealDigests, checkSealSignatures } from "../../core/oci/check-seal.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseManifest } from "../../core/oci/manifest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { readArtifactSeal, readInlineSeal } from "../../core/oci/seal.ts";
import type { Seal } from "../../core/oci/seal.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { actualDigest } from "./sealed-image.ts";
import type { SealedImage } from "./sealed-image.ts";
import type { TrustedCertificates } from "./trust.ts";

/** An artifact that may be a seal. */
export interface SealCandidate {
  /** Of its manifest. */
  readonly digest: OciDigest;
  /** Reads its manifest, verified. */
  readManifest(): Promise<Uint8Array>;
  /** Reads a blob of it, verified. */
  readBlob(descriptor: Descriptor): Promise<Uint8Array>;
}

/** A seal that holds. */
export interface VerifiedSeal {
  readonly seal: Seal;
  /** The artifact that it was in; `undefined` for one in the manifest. */
  readonly artifact: OciDigest | undefined;
  /** Whether its signatures were checked, which needs somebody to trust. */
  readonly isSigned: boolean;
}

/** How a seal is verified. */
export interface VerifyOptions {
  /** Whose signatures count; without it digests alone are compared. */
  readonly trust: TrustedCertificates | undefined;
  /**
   * Look at the digests of single layers as well. The specification does not say what the image of one
   * layer is, so others may rightly have another, and nothing here uses it.
   */
  readonly layers?: boolean;
}

/** A seal that was found, and where. */
interface FoundSeal {
  readonly artifact: SealCandidate | undefined;
  read(): Promise<Seal | undefined>;
}

/**
 * Returns the first seal that holds; artifacts come first, for they seal the manifest too. Without `trust`
 * digests alone are compared. Throws `verity-missing` when there is no seal for the digests of the
 * repository, else the error of the seal that came closest: `verity-mismatch`, `invalid-signature`, or what kept it
 * from being read.
 */
export async function verifySeal(
  image: SealedImage,
  candidates: readonly SealCandidate[],
  { trust, layers = false }: VerifyOptions,
): Promise<VerifiedSeal> {
  const found: FoundSeal[] = [
    ...candidates.map((artifact) => ({
      artifact,
      read: async () => readArtifact(artifact, image.manifestDigest),
    })),
    { artifact: undefined, read: async () => readInlineSeal(image.manifest, image.algorithm) },
  ];
  const computed = new Map<string, Promise<FsVerityDigest>>();
  const refusals: ComposefsError[] = [];
  for (const { artifact, read } of found) {
    try {
      const whole = await read();
      if (whole === undefined) continue;
      const seal = layers ? whole : withoutLayers(whole);
      if (seal.algorithm !== image.algorithm) throw otherAlgorithm(image, seal);
      await checkSeal(image, seal, artifact, trust, computed);
      return { seal, artifact: artifact?.digest, isSigned: trust !== undefined };
    } catch (error) {
      if (!(error instanceof ComposefsError)) throw error;
      refusals.push(error);
    }
  }
  throw bestOf(image, refusals);
}

async function readArtifact(artifact: SealCandidate, subject: OciDigest): Promise<Seal> {
  const bytes = await artifact.readManifest();
  try {
    return readArtifactSeal(parseManifest(bytes), subject);
  } catch (error) {
    if (!(error instanceof ComposefsError) || error.code !== "invalid-manifest") throw error;
    throw new ComposefsError("invalid-signature", `Cannot use seal: ${error.message}`, {
      cause: error,
    });
  }
}

function withoutLayers(seal: Seal): Seal {
  return { ...seal, entries: seal.entries.filter(({ role }) => role !== "layer") };
}

async function checkSeal(
  image: SealedImage,
  seal: Seal,
  artifact: SealCandidate | undefined,
  trust: TrustedCertificates | undefined,
  computed: Map<string, Promise<FsVerityDigest>>,
): Promise<void> {
  // First the signatures, which cost less than making the image.
  if (trust !== undefined) {
    const signatures: (Uint8Array | undefined)[] = [];
    for (const { signature } of seal.entries) {
      const isHere = signature === undefined || signature instanceof Uint8Array;
      signatures.push(isHere ? signature : await artifact!.readBlob(signature));
    }
    checkSealSignatures(seal, signatures, (signature, signed) => trust.check(signature, signed));
  }
  const digests = new Map<string, FsVerityDigest>();
  for (const { role, layer } of seal.entries) {
    const key = `${role} ${layer}`;
    const digest = computed.get(key) ?? actualDigest(image, role, layer);
    computed.set(key, digest);
    digests.set(key, await digest);
  }
  checkSealDigests(seal, { digestOf: (role, layer) => digests.get(`${role} ${layer}`)! });
}

function otherAlgorithm({ name, algorithm }: SealedImage, seal: Seal): ComposefsError {
  return new ComposefsError(
    "verity-missing",
    `Cannot verify "${name}": its seal has digests of ${seal.algorithm}, and the repository has ${algorithm}`,
    { hint: `use a repository that has ${seal.algorithm}` },
  );
}

/** The order in which refusals tell most: a signature by somebody trusted over other content comes first. */
const TELLING = ["verity-mismatch", "invalid-signature"] as const;

function bestOf(
  { name, algorithm }: SealedImage,
  refusals: readonly ComposefsError[],
): ComposefsError {
  const best = TELLING.map((code) => refusals.find((refusal) => refusal.code === code)).find(
    (refusal) => refusal !== undefined,
  );
  const chosen = best ?? refusals[0];
  if (chosen === undefined) {
    return new ComposefsError(
      "verity-missing",
      `Cannot verify "${name}": it is not sealed with digests of ${algorithm}`,
      { hint: "`composefs seal` seals images" },
    );
  }
  if (refusals.length === 1) return chosen;
  const message = `${chosen.message}; ${refusals.length} seals were refused`;
  const { hint } = chosen;
  const hinted = hint === undefined ? {} : { hint };
  return new ComposefsError(chosen.code, message, { cause: chosen, ...hinted });
}
