/**
 * What keeps the contents of a repository alive: refs, the names that a caller gives, and mounts. Also what
 * makes it impossible to know all of them.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { objectOfName } from "../survey/names.ts";
import type { Category, RepositoryFiles } from "../survey/repository-files.ts";
import type { LiveMounts } from "./live-mounts.ts";
import type { GcDamage, GcRoot, RepositoryLinks } from "./mark.ts";

/** The roots that refs are, and the refs that lead to nothing. */
export function refRoots(
  repository: RepositoryFiles,
  links: RepositoryLinks,
): { roots: GcRoot[]; damage: GcDamage[]; deadRefs: ByteString[] } {
  const roots: GcRoot[] = [];
  const damage: GcDamage[] = [];
  const deadRefs: ByteString[] = [];
  for (const { category, entries, refs } of [links.images, links.streams]) {
    const kind = category === "streams" ? "stream" : "image";
    for (const { name, entry } of refs) {
      const why = `${category}/refs/${displayText(name)}`;
      const digest = entries.get(entry) ?? digestInName(repository, category, entry);
      if (digest !== undefined) {
        roots.push({ kind, digest, why });
      } else {
        const reason = `there is no ${category}/${displayText(entry)}`;
        damage.push({ what: `ref ${why}`, digest: undefined, neededBy: why, reason });
        deadRefs.push(`${category}/refs/${name}` as ByteString);
      }
    }
  }
  return { roots, damage, deadRefs };
}

/** The name of an image is its digest: its entry may be lost, but not what it led to. */
function digestInName(
  { algorithm }: RepositoryFiles,
  category: Category,
  entry: ByteString,
): FsVerityDigest | undefined {
  if (category === "streams") return undefined;
  return objectOfName(entry.slice(0, 2), entry.slice(2), algorithm);
}

/** The roots that a caller names. Throws `not-in-repository` for a name that is not there. */
export function namedRoots(links: RepositoryLinks, names: readonly ByteString[]): GcRoot[] {
  return names.flatMap((name) => {
    const why = `--root ${displayText(name)}`;
    const stream = links.streams.entries.get(name);
    const image = links.images.entries.get(name);
    if (stream === undefined && image === undefined) {
      throw new ComposefsError(
        "not-in-repository",
        `Cannot keep "${displayText(name)}": no stream and no image has this name`,
        { hint: "Name an entry of streams/ or images/, without the directory" },
      );
    }
    const roots: GcRoot[] = [];
    if (stream !== undefined) roots.push({ kind: "stream", digest: stream, why });
    if (image !== undefined) roots.push({ kind: "image", digest: image, why });
    return roots;
  });
}

/** The images that are mounted; all of them where nobody can tell which. */
export function mountRoots(links: RepositoryLinks, mounts: LiveMounts): GcRoot[] {
  const roots: GcRoot[] = [];
  for (const [digest, where] of mounts.images) {
    roots.push({ kind: "image", digest, why: `mounted on ${where}` });
  }
  const [unidentified] = mounts.unidentified;
  if (unidentified === undefined) return roots;
  const why = `may be mounted on ${unidentified}`;
  for (const digest of new Set(links.images.entries.values())) {
    roots.push({ kind: "image", digest, why });
  }
  return roots;
}

/** What makes it impossible to know what is needed, beside what cannot be read. */
export function unknowable(links: RepositoryLinks, mounts: LiveMounts): GcDamage[] {
  const damage = mounts.foreignImages.map((where) => ({
    what: `image mounted on ${where}`,
    digest: undefined,
    neededBy: where,
    reason: "it reads the objects of this repository, and is not in it",
  }));
  for (const { path, reason, mayHideRefs } of [...links.streams.strange, ...links.images.strange]) {
    if (mayHideRefs === undefined) continue;
    const where = displayText(path);
    damage.push({ what: `ref ${where}`, digest: undefined, neededBy: where, reason });
  }
  return damage;
}
