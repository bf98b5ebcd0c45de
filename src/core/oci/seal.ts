/**
 * Seals: which fs-verity digests an image is to have, perhaps signed, as its manifest says it (inline), or
 * an artifact that refers to the manifest.
 *
 * Source: composefs-rs 0.9, sealing specification. Where it contradicts itself (one artifact with several
 * algorithms), the MUST counts.
 */

import { parseBase64 } from "../bytes/base64.ts";
import { DIGEST_SIZE, parseFsVerityDigest } from "../fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../fsverity/digest.ts";
import { ComposefsError } from "../errors.ts";
import type { Descriptor } from "./descriptor.ts";
import { shown } from "./json.ts";
import type { Manifest } from "./manifest.ts";
import { MEDIA_TYPE } from "./media-type.ts";
import type { OciDigest } from "./oci-digest.ts";
import { SEALED_EROFS_VERSION, SEALED_LG_BLOCK_SIZE, parseSealKey } from "./seal-key.ts";
import type { SealKey, SealRole } from "./seal-key.ts";

/** The `artifactType` of seals. */
export const SEAL_ARTIFACT_TYPE = "application/vnd.composefs.metadata.v1";
/** The media type of signatures in artifacts: PKCS#7, DER. */
export const SEAL_SIGNATURE_TYPE = "application/vnd.composefs.signature.v1+pkcs7";

/** One digest of a seal. */
export interface SealEntry {
  readonly role: SealRole;
  /** Which layer, from 0, for the role of that name. */
  readonly layer: number | undefined;
  readonly digest: FsVerityDigest;
  /** The signature, in the manifest or in a blob; `undefined` where there is none. */
  readonly signature: Uint8Array | Descriptor | undefined;
}

/** A seal. It always has an entry for the merged layers. */
export interface Seal {
  readonly mode: "inline" | "artifact";
  readonly algorithm: FsVerityAlgorithm;
  readonly entries: readonly SealEntry[];
}

/** The order of entries in an artifact. */
const ARTIFACT_ORDER: readonly SealRole[] = ["manifest", "config", "merged", "merged.bootable"];

/**
 * Reads the seal in a manifest, in one algorithm: a manifest may have both. `undefined` when it has no
 * digest of the merged layers in it. Throws `invalid-signature` for a seal that contradicts itself.
 */
export function readInlineSeal(manifest: Manifest, algorithm: FsVerityAlgorithm): Seal | undefined {
  const entries: SealEntry[] = [];
  const read = (place: string, annotations: Annotations, roles: readonly SealRole[]): void => {
    for (const entry of inlineEntries(place, annotations, algorithm)) {
      if (!roles.includes(entry.role)) {
        throw invalidSeal(
          `${place} holds a digest of the ${entry.role}, which does not belong there`,
        );
      }
      entries.push(entry);
    }
  };
  read("config", manifest.config.annotations, ["config"]);
  for (const [i, { annotations }] of manifest.layers.entries()) {
    const start = entries.length;
    read(`layers[${i}]`, annotations, ["layer"]);
    for (let at = start; at < entries.length; at++) entries[at] = { ...entries[at]!, layer: i };
  }
  read("the manifest", manifest.annotations, ["merged", "merged.bootable"]);
  if (!entries.some(({ role }) => role === "merged")) return undefined;
  if (entries.some(({ signature }) => signature !== undefined)) requireSigned(entries, ["config"]);
  return { mode: "inline", algorithm, entries };
}

/**
 * Reads a seal from an artifact. Throws `invalid-signature` when it is about another manifest than
 * `subject`, is no seal, or breaks a rule of the specification.
 */
export function readArtifactSeal(artifact: Manifest, subject: OciDigest): Seal {
  if (artifact.artifactType !== SEAL_ARTIFACT_TYPE) {
    throw invalidSeal(`artifact type ${shown(artifact.artifactType)} is not ${SEAL_ARTIFACT_TYPE}`);
  }
  if (artifact.subject?.digest !== subject) {
    throw invalidSeal(
      `it is about the manifest ${artifact.subject?.digest ?? "of nobody"}, not ${subject}`,
    );
  }
  let algorithm: FsVerityAlgorithm | undefined;
  let place = -1;
  const entries: SealEntry[] = [];
  for (const [i, layer] of artifact.layers.entries()) {
    const { key, digest } = artifactLayer(i, layer);
    if (algorithm !== undefined && key.algorithm !== algorithm) {
      throw invalidSeal(`it has digests of ${algorithm} and of ${key.algorithm}`);
    }
    ({ algorithm } = key);
    const next = ARTIFACT_ORDER.indexOf(key.role);
    if (next === -1) throw invalidSeal(`layers[${i}] is of a ${key.role}, which no artifact has`);
    if (next <= place) throw invalidSeal(`layers[${i}], of the ${key.role}, is out of order`);
    place = next;
    const signature = layer.mediaType === SEAL_SIGNATURE_TYPE ? layer : undefined;
    entries.push({ role: key.role, layer: undefined, digest, signature });
  }
  if (algorithm === undefined || !entries.some(({ role }) => role === "merged")) {
    throw invalidSeal("it has no digest of the merged layers");
  }
  if (entries.some(({ signature }) => signature !== undefined)) {
    requireSigned(entries, ["manifest", "config"]);
  }
  return { mode: "artifact", algorithm, entries };
}

type Annotations = Readonly<Record<string, string>>;

function inlineEntries(
  place: string,
  annotations: Annotations,
  algorithm: FsVerityAlgorithm,
): SealEntry[] {
  const digests = new Map<SealRole, FsVerityDigest>();
  const signatures = new Map<SealRole, Uint8Array>();
  for (const [text, value] of Object.entries(annotations)) {
    const key = parseSealKey(text);
    if (key === undefined || !isReadable(key) || key.algorithm !== algorithm) continue;
    if (key.isSignature) signatures.set(key.role, readSignature(place, text, value));
    else digests.set(key.role, readDigest(place, key, value));
  }
  for (const role of signatures.keys()) {
    if (!digests.has(role))
      throw invalidSeal(`${place} holds a signature of the ${role}, but no digest`);
  }
  return [...digests].map(([role, digest]) => {
    return { role, layer: undefined, digest, signature: signatures.get(role) };
  });
}

function artifactLayer(i: number, layer: Descriptor): { key: SealKey; digest: FsVerityDigest } {
  const { annotations, mediaType } = layer;
  const place = `layers[${i}]`;
  if (mediaType !== SEAL_SIGNATURE_TYPE && mediaType !== MEDIA_TYPE.ociEmpty) {
    throw invalidSeal(`${place} is of type ${shown(mediaType)}, neither a signature nor empty`);
  }
  const [first, ...more] = Object.keys(annotations).flatMap((text) => parseSealKey(text) ?? []);
  if (first === undefined || more.length > 0 || first.isSignature) {
    throw invalidSeal(`${place} has not exactly one digest in its annotations`);
  }
  if (!isReadable(first)) throw invalidSeal(`${place} is of a version or block size to come`);
  const text = Object.keys(annotations).find((each) => parseSealKey(each) !== undefined)!;
  return { key: first, digest: readDigest(place, first, annotations[text]!) };
}

function isReadable({ erofsVersion, lgBlockSize }: SealKey): boolean {
  const isKnown = erofsVersion === undefined || erofsVersion === SEALED_EROFS_VERSION;
  return isKnown && lgBlockSize === SEALED_LG_BLOCK_SIZE;
}

function readDigest(place: string, { role, algorithm }: SealKey, value: string): FsVerityDigest {
  if (value.length !== 2 * DIGEST_SIZE[algorithm] || !/^[0-9a-f]+$/.test(value)) {
    throw invalidSeal(`${place} has ${shown(value)} as ${algorithm} digest of the ${role}`);
  }
  return parseFsVerityDigest(value);
}

function readSignature(place: string, key: string, value: string): Uint8Array {
  const bytes = parseBase64(value);
  if (bytes === undefined || bytes.length === 0) {
    throw invalidSeal(`${place} has a value of ${key} that is not base64`);
  }
  return bytes;
}

/** Who signs anything signs the merged layers, and what says how they came about. */
function requireSigned(entries: readonly SealEntry[], roles: readonly SealRole[]): void {
  for (const role of [...roles, "merged"]) {
    if (entries.find((entry) => entry.role === role)?.signature === undefined) {
      throw invalidSeal(`it has signatures, but none of the ${role}`);
    }
  }
}

function invalidSeal(reason: string): ComposefsError {
  return new ComposefsError("invalid-signature", `Cannot use seal: ${reason}`);
}
