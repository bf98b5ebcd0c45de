/**
 * Writes seals: into a manifest, or into an artifact that refers to it.
 *
 * Source: composefs-rs 0.9, sealing specification; OCI image-spec 1.1, manifest.md, "Guidelines for
 * Artifact Usage". What an artifact holds where there is no signature the specification leaves open: here
 * it is the empty blob.
 */

import { formatBase64 } from "../bytes/base64.ts";
import { byteString, bytesOf } from "../bytes/byte-string.ts";
import { decodeUtf8 } from "../bytes/utf8.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../fsverity/digest.ts";
import type { Descriptor } from "./descriptor.ts";
import { parseManifest } from "./manifest.ts";
import { MEDIA_TYPE } from "./media-type.ts";
import type { OciDigest } from "./oci-digest.ts";
import { formatSealKey, parseSealKey } from "./seal-key.ts";
import type { SealRole } from "./seal-key.ts";
import { SEAL_ARTIFACT_TYPE, SEAL_SIGNATURE_TYPE } from "./seal.ts";

/** A digest to be written, and a signature over it or none. */
export interface NewSealEntry {
  readonly role: SealRole;
  /** Which layer, from 0, for the role of that name. */
  readonly layer?: number;
  readonly digest: FsVerityDigest;
  readonly signature: Uint8Array | undefined;
}

/** An artifact: its manifest, and the blobs that this names. */
export interface SealArtifact {
  readonly manifest: Uint8Array;
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[];
}

/** Computes the OCI digest of bytes. */
export type OciHash = (bytes: Uint8Array) => OciDigest;

type Json = Record<string, unknown>;

/**
 * Returns a manifest with the entries as annotations, a new document with a digest of its own. Seals of the
 * same algorithm that were there are gone. Throws `invalid-manifest`.
 */
export function sealManifest(
  bytes: Uint8Array,
  algorithm: FsVerityAlgorithm,
  entries: readonly NewSealEntry[],
): Uint8Array {
  // It is a manifest that can be used; what follows changes the document and keeps what it has besides.
  parseManifest(bytes);
  const manifest = JSON.parse(decodeUtf8(bytes)!) as Json;
  const annotated = (object: Json, matches: (entry: NewSealEntry) => boolean): Json => {
    const kept = Object.entries((object["annotations"] ?? {}) as Json).filter(
      ([key]) => parseSealKey(key)?.algorithm !== algorithm,
    );
    const added = entries.filter(matches).flatMap((entry) => annotationsOf(entry, algorithm));
    if (kept.length + added.length === 0) return object;
    return { ...object, annotations: Object.fromEntries([...kept, ...added]) };
  };
  const layers = (manifest["layers"] ?? []) as Json[];
  const sealed = annotated(
    {
      ...manifest,
      config: annotated(manifest["config"] as Json, ({ role }) => role === "config"),
      layers: layers.map((layer, i) =>
        annotated(layer, (entry) => entry.role === "layer" && entry.layer === i),
      ),
    },
    ({ role }) => role === "merged" || role === "merged.bootable",
  );
  return textBytes(JSON.stringify(sealed));
}

/** Returns an artifact about `subject` with the entries, of which none is of a layer. */
export function sealArtifact(
  subject: Pick<Descriptor, "mediaType" | "digest" | "size">,
  algorithm: FsVerityAlgorithm,
  entries: readonly NewSealEntry[],
  hash: OciHash,
): SealArtifact {
  const blob = (mediaType: string, bytes: Uint8Array): SealArtifact["blobs"][number] => ({
    descriptor: { mediaType, digest: hash(bytes), size: bytes.length, annotations: {} },
    bytes,
  });
  const empty = blob(MEDIA_TYPE.ociEmpty, textBytes("{}"));
  const blobs = [empty];
  const layers = entries.map((entry) => {
    const { signature } = entry;
    const part = signature === undefined ? empty : blob(SEAL_SIGNATURE_TYPE, signature);
    if (part !== empty) blobs.push(part);
    const annotations = { [formatSealKey(entry.role, algorithm)]: entry.digest };
    return { ...reference(part.descriptor), annotations };
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    artifactType: SEAL_ARTIFACT_TYPE,
    config: reference(empty.descriptor),
    layers,
    subject: reference(subject),
  };
  return { manifest: textBytes(JSON.stringify(manifest)), blobs };
}

function annotationsOf(
  { role, digest, signature }: NewSealEntry,
  algorithm: FsVerityAlgorithm,
): [string, string][] {
  const pairs: [string, string][] = [[formatSealKey(role, algorithm), digest]];
  if (signature !== undefined) {
    pairs.push([formatSealKey(role, algorithm, "signature"), formatBase64(signature)]);
  }
  return pairs;
}

function reference({
  mediaType,
  digest,
  size,
}: Pick<Descriptor, "mediaType" | "digest" | "size">): Json {
  return { mediaType, digest, size };
}

function textBytes(text: string): Uint8Array {
  return bytesOf(byteString(text));
}
