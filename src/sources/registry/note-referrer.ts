/**
 * For registries without a list of what is about an image: clients keep it under a tag.
 *
 * Source: OCI distribution specification 1.1, "Pushing Manifests with Subject". Two clients that write
 * at once may lose an entry, as the specification says.
 */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseIndex } from "../../core/oci/image-index.ts";
import { parseManifest } from "../../core/oci/manifest.ts";
import { MEDIA_TYPE, isManifestMediaType } from "../../core/oci/media-type.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { nameOf, readManifest } from "./manifests.ts";
import type { Repository } from "./manifests.ts";
import { referrersTag } from "./referrers.ts";
import { pushScope } from "./auth/scope.ts";

/** Adds a manifest to the list of its subject; does nothing for one that is about nothing. */
export async function noteReferrer(
  place: Repository,
  bytes: Uint8Array,
  { mediaType, digest }: { readonly mediaType: string; readonly digest: OciDigest },
): Promise<void> {
  const about = readAbout(bytes, mediaType);
  if (about?.subject === undefined) return;
  const tag = referrersTag(about.subject.digest);
  const listed = await readListed(place, tag);
  if (listed.some((each) => each.digest === digest)) return;
  const { artifactType, annotations } = about;
  const entry: Descriptor = {
    mediaType,
    digest,
    size: bytes.length,
    annotations,
    ...(artifactType === undefined ? {} : { artifactType }),
  };
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociIndex,
    manifests: [...listed, entry],
  };
  const { client, repository } = place;
  const answer = await client.metadata({
    method: "PUT",
    path: `/v2/${repository}/manifests/${tag}`,
    headers: { "content-type": MEDIA_TYPE.ociIndex },
    body: { kind: "bytes", bytes: Buffer.from(JSON.stringify(index)) },
    scopes: [pushScope(repository)],
  });
  if (answer.status === 201) return;
  throw await client.failure(`send the list ${tag} to ${nameOf(place)}`, answer);
}

/** What a manifest or index is about; nothing for images, and for what is neither. */
export function readSubject(bytes: Uint8Array, mediaType: string): Descriptor | undefined {
  return readAbout(bytes, mediaType)?.subject;
}

interface About {
  readonly subject: Descriptor | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

function readAbout(bytes: Uint8Array, mediaType: string): About | undefined {
  // What is not one of OCI's documents has no subject.
  if (mediaType === MEDIA_TYPE.ociIndex) return parseIndex(bytes, mediaType);
  if (!isManifestMediaType(mediaType)) return undefined;
  const manifest = parseManifest(bytes, mediaType);
  return { ...manifest, artifactType: manifest.artifactType ?? manifest.config.mediaType };
}

async function readListed(place: Repository, tag: string): Promise<readonly Descriptor[]> {
  try {
    const { bytes, descriptor } = await readManifest(place, tag);
    return parseIndex(bytes, descriptor.mediaType).manifests;
  } catch (error) {
    if (error instanceof ComposefsError && error.code === "registry-not-found") return [];
    throw error;
  }
}
