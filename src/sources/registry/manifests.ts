/**
 * Manifests and indexes of a repository: all of one, or whether it is still the same.
 *
 * Source: OCI distribution specification 1.1, "Pulling manifests", "Checking if content exists".
 */

import { createHash } from "node:crypto";
import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { MANIFEST_SIZE_MAX } from "../../core/oci/manifest.ts";
import { MEDIA_TYPE } from "../../core/oci/media-type.ts";
import { formatOciDigest, isOciDigest } from "../../core/oci/oci-digest.ts";
import type { OciAlgorithm, OciDigest } from "../../core/oci/oci-digest.ts";
import type { ResolvedImage, SourceCallOptions } from "../image-source.ts";
import type { RegistryClient } from "./client.ts";
import { DigestCheck } from "./digest-check.ts";
import { pullScope } from "./auth/scope.ts";

/** What we can read. Docker's first schema is not among it: it has no digests of layers. */
const ACCEPT = [
  MEDIA_TYPE.ociIndex,
  MEDIA_TYPE.ociManifest,
  MEDIA_TYPE.dockerManifestList,
  MEDIA_TYPE.dockerManifest,
].join(", ");

/** Where manifests are. */
export interface Repository {
  readonly client: RegistryClient;
  readonly repository: string;
}

/** How to ask for a manifest. */
export interface ManifestCallOptions extends SourceCallOptions {
  /** Tries at most, unless the client's. */
  readonly attempts?: number | undefined;
}

/** For people: `registry/name`. */
export function nameOf({ client, repository }: Repository): string {
  return `${client.registry}/${repository}`;
}

/**
 * Reads what a tag or a digest names, and verifies it against the digest and against what the registry
 * says itself. Throws `content-mismatch`, `registry-not-found`, …
 */
export async function readManifest(
  place: Repository,
  tagOrDigest: string,
  { signal, attempts }: ManifestCallOptions = {},
): Promise<ResolvedImage> {
  const { client, repository } = place;
  const what = `manifest ${tagOrDigest} of ${nameOf(place)}`;
  const answer = await client.metadata(
    {
      method: "GET",
      path: `/v2/${repository}/manifests/${tagOrDigest}`,
      headers: { accept: ACCEPT },
      scopes: [pullScope(repository)],
      retries: client.retries(attempts),
      signal,
    },
    MANIFEST_SIZE_MAX,
  );
  if (answer.status !== 200) throw await client.failure(`get ${what}`, answer);
  const { bytes } = answer;
  const told = toldDigest(answer.headers, what);
  const asked = isOciDigest(tagOrDigest) ? tagOrDigest : undefined;
  for (const digest of new Set([asked, told])) {
    if (digest === undefined) continue;
    const check = new DigestCheck({ digest, size: bytes.length }, what);
    check.update(bytes);
    check.finish();
  }
  const digest = asked ?? told ?? digestOf("sha256", bytes);
  return { descriptor: describe(answer.headers, digest, bytes.length), bytes };
}

/** Reads the manifest that a descriptor names. Throws `content-mismatch`, … */
export async function readManifestOf(
  place: Repository,
  descriptor: Descriptor,
  options: SourceCallOptions = {},
): Promise<Uint8Array> {
  const { bytes } = await readManifest(place, descriptor.digest, options);
  if (bytes.length !== descriptor.size) {
    const check = new DigestCheck(descriptor, `manifest ${descriptor.digest} of ${nameOf(place)}`);
    throw check.mismatch(`it has ${bytes.length} bytes instead of ${descriptor.size}`);
  }
  return bytes;
}

/**
 * Asks what a tag or a digest names, without reading it: one request with an empty answer. `undefined`
 * where the registry does not say enough. Nothing of it is verified.
 */
export async function peekManifest(
  place: Repository,
  tagOrDigest: string,
  { signal, attempts }: ManifestCallOptions = {},
): Promise<Descriptor | undefined> {
  const { client, repository } = place;
  const what = `manifest ${tagOrDigest} of ${nameOf(place)}`;
  const answer = await client.metadata({
    method: "HEAD",
    path: `/v2/${repository}/manifests/${tagOrDigest}`,
    headers: { accept: ACCEPT },
    scopes: [pullScope(repository)],
    retries: client.retries(attempts),
    signal,
  });
  if (answer.status === 405 || answer.status === 501) return undefined;
  if (answer.status !== 200) throw await client.failure(`find ${what}`, answer);
  const digest = toldDigest(answer.headers, what);
  const size = Number(answer.headers["content-length"] ?? Number.NaN);
  if (digest === undefined || !Number.isSafeInteger(size)) return undefined;
  return describe(answer.headers, digest, size);
}

function describe(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  digest: OciDigest,
  size: number,
): Descriptor {
  const type = String(headers["content-type"] ?? "").split(";", 1)[0]!;
  const mediaType = type.trim().toLowerCase();
  return { mediaType, digest, size, annotations: Object.create(null) as Record<string, string> };
}

/** What the registry says is the digest; other hash functions than ours are as if it said nothing. */
export function toldDigest(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  what: string,
): OciDigest | undefined {
  const told = headers["docker-content-digest"];
  if (typeof told !== "string" || told === "") return undefined;
  if (isOciDigest(told)) return told;
  if (/^sha(?:256|512):/.test(told)) {
    throw new ComposefsError(
      "registry-failed",
      `Cannot get ${what}: the registry names a digest that is none`,
    );
  }
  return undefined;
}

/** The digest of some bytes. */
export function digestOf(algorithm: OciAlgorithm, bytes: Uint8Array): OciDigest {
  return formatOciDigest(algorithm, createHash(algorithm).update(bytes).digest());
}
