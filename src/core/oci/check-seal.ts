/**
 * Whether an image is what its seal says.
 */

import { ComposefsError } from "../errors.ts";
import { formattedDigest } from "../fsverity/formatted-digest.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";
import type { Seal, SealEntry } from "./seal.ts";
import type { SealRole } from "./seal-key.ts";

/** What an image is made of, computed from what is at hand and not taken from its seal. */
export interface ActualDigests {
  /** Of one role; of the layer with that number, for layers. May throw where there is no such image. */
  digestOf(role: SealRole, layer: number | undefined): FsVerityDigest;
}

/** Checks a signature over bytes, and throws `invalid-signature`. */
export type SignatureCheck = (signature: Uint8Array, signed: Uint8Array) => void;

/** Signatures of a seal, in the order of its entries; blobs have been read. */
export type SealSignatures = readonly (Uint8Array | undefined)[];

/**
 * Checks all digests of a seal. Throws `verity-mismatch` for the first that is another one.
 */
export function checkSealDigests({ entries }: Seal, actual: ActualDigests): void {
  for (const { role, layer, digest } of entries) {
    const found = actual.digestOf(role, layer);
    if (found !== digest) {
      throw new ComposefsError(
        "verity-mismatch",
        `Cannot accept seal: the ${nameOf(role, layer)} has the digest ${found}, and is sealed with ${digest}`,
      );
    }
  }
}

/**
 * Checks all signatures of a seal. Throws `invalid-signature` for the first that does not hold, and when
 * the image, what it boots, its config, or, in an artifact, its manifest has none.
 */
export function checkSealSignatures(
  { mode, entries }: Seal,
  signatures: SealSignatures,
  check: SignatureCheck,
): void {
  const needed: SealRole[] = ["config", "merged"];
  if (mode === "artifact") needed.push("manifest");
  for (const role of needed) {
    if (!entries.some((entry) => entry.role === role)) throw unsigned({ role, layer: undefined });
  }
  for (const [i, entry] of entries.entries()) {
    const signature = signatures[i];
    if (signature !== undefined) check(signature, formattedDigest(entry.digest));
    else if (entry.role !== "layer") throw unsigned(entry);
  }
}

function unsigned({ role, layer }: Pick<SealEntry, "role" | "layer">): ComposefsError {
  return new ComposefsError(
    "invalid-signature",
    `Cannot accept seal: the ${nameOf(role, layer)} is not signed`,
  );
}

/** What a role is called in messages. */
function nameOf(role: SealRole, layer: number | undefined): string {
  switch (role) {
    case "manifest":
    case "config":
      return role;
    case "layer":
      return `layer ${layer ?? 0}`;
    case "merged":
      return "image";
    case "merged.bootable":
      return "bootable image";
  }
}
