/** Tags: the names that keep OCI images, and what else keeps manifests. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { displayText } from "../../core/bytes/byte-string.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { Repository } from "../repository.ts";
import {
  manifestOfStreamName,
  manifestStreamName,
  referrerOfRef,
  referrerRef,
  tagOfRef,
  tagRef,
} from "./names.ts";

/** A tag and the manifest that it names. */
export interface Tag {
  readonly name: ByteString;
  readonly manifestDigest: OciDigest;
}

/** All tags, in byte order of their references. What is no tag of a manifest is left out. */
export function listTags(repo: Repository): Tag[] {
  return repo.listRefs("streams").flatMap(({ name: ref, target }) => {
    const name = tagOfRef(ref);
    const manifestDigest = manifestOfStreamName(target);
    return name === undefined || manifestDigest === undefined ? [] : { name, manifestDigest };
  });
}

/** Gives a manifest that is in the repository a tag; one of that name is moved. Throws `not-in-repository`. */
export async function tagImage(
  repo: Repository,
  manifestDigest: OciDigest,
  tag: ByteString,
): Promise<void> {
  const stream = manifestStreamName(manifestDigest);
  if (repo.streamDigest(stream) === undefined) {
    throw new ComposefsError(
      "not-in-repository",
      `Cannot tag manifest ${manifestDigest}: it is not in the repository`,
      { hint: "`composefs images` lists what there is" },
    );
  }
  const transaction = repo.begin();
  transaction.setRef("streams", tagRef(tag), stream);
  await transaction.commit();
}

/** Removes a tag. The image stays until garbage is collected. Throws `not-in-repository`. */
export function untagImage(repo: Repository, tag: ByteString): void {
  if (repo.removeRef("streams", tagRef(tag))) return;
  throw new ComposefsError(
    "not-in-repository",
    `Cannot remove tag "${displayText(tag)}": no tag of this name is in the repository`,
    { hint: "`composefs images` lists the tags" },
  );
}

/** The manifests that are about another one: signatures, and what else is attached. In order of digests. */
export function listReferrers(repo: Repository, subject: OciDigest): OciDigest[] {
  return listReferrerRefs(repo)
    .filter((referrer) => referrer.subject === subject)
    .map(({ artifact }) => artifact)
    .filter((artifact) => repo.streamDigest(manifestStreamName(artifact)) !== undefined);
}

/** Forgets the referrers of a manifest; they stay until garbage is collected. Returns how many. Throws as `Repository.assertWritable`. */
export function removeReferrers(repo: Repository, subject: OciDigest): number {
  const referrers = listReferrerRefs(repo).filter((referrer) => referrer.subject === subject);
  for (const { artifact } of referrers) repo.removeRef("streams", referrerRef(subject, artifact));
  return referrers.length;
}

function listReferrerRefs(
  repo: Repository,
): { readonly subject: OciDigest; readonly artifact: OciDigest }[] {
  return repo.listRefs("streams").flatMap(({ name }) => referrerOfRef(name) ?? []);
}
