/**
 * Manifests that are about another one: by the registry's own list, or by a tag that clients keep where
 * it has none.
 *
 * Source: OCI distribution specification 1.1, "Listing Referrers", "Referrers Tag Schema".
 */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseIndex } from "../../core/oci/image-index.ts";
import { MEDIA_TYPE } from "../../core/oci/media-type.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { SourceCallOptions } from "../image-source.ts";
import { nextLink } from "./http/link.ts";
import { nameOf, readManifest } from "./manifests.ts";
import type { Repository } from "./manifests.ts";
import { pullScope } from "./auth/scope.ts";

/** Lists have no more pages, and no more entries in all. */
const PAGES_MAX = 100;
const REFERRERS_MAX = 10_000;

/** How to ask. */
export interface ReferrersOptions extends SourceCallOptions {
  readonly artifactType?: string | undefined;
}

/** Lists what is about `subject`; nothing where there is nothing. Throws `registry-failed`, … */
export async function readReferrers(
  place: Repository,
  subject: OciDigest,
  options: ReferrersOptions = {},
): Promise<readonly Descriptor[]> {
  const found = (await listed(place, subject, options)) ?? (await tagged(place, subject, options));
  const { artifactType } = options;
  // Registries may filter, and need not.
  if (artifactType === undefined) return found;
  return found.filter((each) => each.artifactType === artifactType);
}

/** The tag under which clients keep the list: `sha256-…`. */
export function referrersTag(subject: OciDigest): string {
  return subject.replace(":", "-");
}

/** `undefined` where the registry has no such list. */
async function listed(
  place: Repository,
  subject: OciDigest,
  { artifactType, signal }: ReferrersOptions,
): Promise<readonly Descriptor[] | undefined> {
  const { client, repository } = place;
  const query =
    artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
  const found: Descriptor[] = [];
  let path: string | URL = `/v2/${repository}/referrers/${subject}${query}`;
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await client.metadata({
      method: "GET",
      path,
      headers: { accept: MEDIA_TYPE.ociIndex },
      scopes: [pullScope(repository)],
      signal,
    });
    if (page === 0 && isUnknown(answer)) return undefined;
    if (answer.status !== 200) {
      throw await client.failure(`list what is about ${subject} in ${nameOf(place)}`, answer);
    }
    found.push(...parseIndex(answer.bytes, MEDIA_TYPE.ociIndex).manifests);
    if (found.length > REFERRERS_MAX) break;
    const next = nextLink(answer.headers["link"]);
    if (next === undefined) return found;
    path = ownPage(place, next, answer.url);
  }
  throw new ComposefsError(
    "registry-failed",
    `Cannot list what is about ${subject} in ${nameOf(place)}: the list does not end`,
  );
}

/** Registries without it answer 404, or not with an index: a page for people, say. */
function isUnknown(answer: {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}): boolean {
  if (answer.status === 404 || answer.status === 405 || answer.status === 501) return true;
  const type = String(answer.headers["content-type"] ?? "")
    .split(";", 1)[0]!
    .trim();
  return answer.status === 200 && type !== MEDIA_TYPE.ociIndex;
}

/** The next page has to be the registry's own: what is shown to it is shown to nobody else. */
function ownPage({ client }: Repository, next: string, from: URL): URL {
  const url = URL.canParse(next, from.href) ? new URL(next, from) : undefined;
  if (url !== undefined && client.isOwn(url)) return url;
  throw new ComposefsError(
    "registry-failed",
    `Cannot read the next part of a list of ${client.registry}: it is somewhere else`,
  );
}

async function tagged(
  place: Repository,
  subject: OciDigest,
  { signal }: ReferrersOptions,
): Promise<readonly Descriptor[]> {
  try {
    const { bytes, descriptor } = await readManifest(place, referrersTag(subject), { signal });
    return parseIndex(bytes, descriptor.mediaType).manifests;
  } catch (error) {
    const isAbsent = error instanceof ComposefsError && error.code === "registry-not-found";
    if (isAbsent) return [];
    throw error;
  }
}
