/**
 * Manifests of OCI, and of Docker's second schema: the config and the layers of an image, or what an
 * artifact holds.
 *
 * Source: OCI image-spec 1.1, manifest.md; Docker's manifest-v2-2. The bytes of a manifest are what its
 * digest belongs to: they are kept as they came, and never made again from what is read here.
 */

import { ANNOTATIONS_MAX, readDescriptor } from "./descriptor.ts";
import type { Descriptor } from "./descriptor.ts";
import { parseOciDocument } from "./document.ts";

/** A manifest. */
export interface Manifest {
  readonly mediaType: string;
  /** What an artifact is; for images nothing. */
  readonly artifactType: string | undefined;
  readonly config: Descriptor;
  /** The lowest first. */
  readonly layers: readonly Descriptor[];
  /** The manifest that this one, a signature perhaps, is about. */
  readonly subject: Descriptor | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Largest manifest or config that is read from anywhere; registries have the same limit. */
export const MANIFEST_SIZE_MAX = 1 << 22;
/** overlayfs takes 500 layers, Docker 127. */
const LAYERS_MAX = 1024;

/**
 * Parses a manifest. `mediaType` is what the reference to it said; a document that says otherwise is
 * refused. Throws `invalid-manifest` and `unsupported-media-type`.
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  const { kind, mediaType: known, root } = parseOciDocument(bytes, mediaType);
  if (kind !== "manifest") throw root.invalid("it is an index of manifests");
  const artifactType = root.optional("artifactType")?.text();
  const subject = root.optional("subject");
  return {
    mediaType: known,
    artifactType: artifactType === "" ? undefined : artifactType,
    config: readDescriptor(root.field("config")),
    layers: root.list("layers", LAYERS_MAX).map(readDescriptor),
    subject: subject === undefined ? undefined : readDescriptor(subject),
    annotations: root.texts("annotations", ANNOTATIONS_MAX),
  };
}
