/**
 * What garbage collection would remove, as data: the dry run prints it, the run executes it.
 *
 * Kept is what can be reached from the refs, from the roots that the caller names, and from the images
 * that are mounted. Writers are no roots: they hold the shared lock, and this needs the exclusive one
 * (or, for a dry run, says what would go if nobody was writing).
 *
 * If something that has to stay cannot be read, nobody knows what it needs, and then no object and no
 * name goes, unless the caller gives it up. See docs/decisions/0053-garbage-collection.md.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { openImage } from "../../core/erofs/reader.ts";
import type { ErofsImage } from "../../core/erofs/reader.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { SyscallError, close, fileSourceOf, lstatatIfExists } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { openObjectFile } from "../survey/check-object.ts";
import { DigestList } from "../survey/digest-list.ts";
import type { DigestTable } from "../survey/digest-table.ts";
import { readLinks } from "../survey/links.ts";
import type { CategoryLinks, StrangeFile } from "../survey/links.ts";
import { objectOfName } from "../survey/names.ts";
import { readUnfinished } from "../survey/unfinished.ts";
import { readObjectDirectories } from "../survey/objects.ts";
import type { Category, RepositoryFiles } from "../survey/repository-files.ts";
import { Turns } from "../survey/turns.ts";
import { findLiveMounts } from "./live-mounts.ts";
import type { ImageShape, LiveMounts } from "./live-mounts.ts";
import { markReachable } from "./mark.ts";
import type { GcDamage, GcRoot, Mark, RepositoryLinks } from "./mark.ts";

/** Options of {@link planGc}. */
export interface GcOptions {
  /** Entries of `streams/` or `images/` that stay, as if there were a ref. */
  readonly roots?: readonly ByteString[];
  /** Do not keep what only damaged images and streams may need, nor refs that lead to nothing. */
  readonly giveUpDamaged?: boolean;
  /** The time, in milliseconds since 1970: unfinished files of the last hour are left alone. */
  readonly now: number;
  readonly signal?: AbortSignal;
  /** Which images are mounted; found out from the kernel unless given. */
  readonly findMounts?: (shapes: ReadonlyMap<FsVerityDigest, ImageShape>) => LiveMounts;
}

/** Objects and their bytes. */
export interface ObjectCount {
  readonly objects: number;
  readonly bytes: number;
}

/** What would go, and what else was seen. */
export interface GcPlan {
  /** Objects that nothing needs. */
  readonly objects: DigestList;
  /** Sum of their sizes. */
  readonly bytes: number;
  /** Entries whose stream or image goes, as paths; refs that lead to nothing. */
  readonly links: readonly ByteString[];
  /** How many of them are in each category. */
  readonly linkCount: Readonly<Record<Category, number>>;
  /** Files that somebody left unfinished, as paths. */
  readonly temporary: readonly ByteString[];
  /** What stays because something that has to stay cannot be read. */
  readonly held: ObjectCount;
  readonly kept: ObjectCount;
  readonly mounts: LiveMounts;
  readonly damage: readonly GcDamage[];
  /** Files that do not belong; they are left alone. */
  readonly strange: readonly StrangeFile[];
}

/** An unfinished file that was not touched for so long is nobody's: writers without a lock exist. */
const STALE_AFTER_MILLISECONDS = 3_600_000;

/**
 * Plans garbage collection. The caller holds the lock: the exclusive one if the plan is to be executed.
 * Throws `not-in-repository` for a root that is not there. Time is linear in objects, names, and bytes
 * of streams and images; memory is 28 bytes for an object that stays, and a digest for one that goes.
 */
export async function planGc(repository: RepositoryFiles, options: GcOptions): Promise<GcPlan> {
  const turns = new Turns(options.signal);
  const links = {
    streams: readLinks(repository, "streams"),
    images: readLinks(repository, "images"),
  };
  const { roots, damage: lost, deadRefs } = refRoots(repository, links);
  roots.push(...namedRoots(links, options.roots ?? []));
  const shapes = await readShapes(repository, links.images, turns);
  const mounts = (options.findMounts ?? ((all) => findLiveMounts(repository, all)))(shapes);
  roots.push(...mountRoots(links, mounts));
  const mark = await markReachable(repository, links, roots, {
    readAllImages: options.giveUpDamaged === true,
    turns,
  });
  const damage = [...lost, ...mark.damage, ...unknowable(links, mounts)];
  const holds = damage.length > 0 && options.giveUpDamaged !== true;
  const swept = await sweep(repository, mark.live, options.now, turns, holds);
  return {
    ...swept,
    ...deadLinks(links, mark, holds, deadRefs),
    temporary: [
      ...swept.temporary,
      ...[
        ...links.streams.temporary,
        ...links.images.temporary,
        ...readUnfinished(repository),
      ].filter((path) => isStale(repository.dirfd, path, options.now)),
    ],
    mounts,
    damage,
    strange: [...links.streams.strange, ...links.images.strange, ...swept.strange],
  };
}

/** The roots that refs are, and the refs that lead to nothing. */
function refRoots(
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

function namedRoots(links: RepositoryLinks, names: readonly ByteString[]): GcRoot[] {
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

function mountRoots(links: RepositoryLinks, mounts: LiveMounts): GcRoot[] {
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
function unknowable(links: RepositoryLinks, mounts: LiveMounts): GcDamage[] {
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

/** Reads the super blocks of all images; those that have none cannot be mounted. */
async function readShapes(
  repository: RepositoryFiles,
  images: CategoryLinks,
  turns: Turns,
): Promise<Map<FsVerityDigest, ImageShape>> {
  const shapes = new Map<FsVerityDigest, ImageShape>();
  for (const digest of new Set(images.entries.values())) {
    const fd = openObjectFile(repository.dirfd, digest);
    if (typeof fd !== "number") continue;
    try {
      shapes.set(digest, shapeOf(openImage(fileSourceOf(fd, digest))));
    } catch (error) {
      if (!(error instanceof ComposefsError || error instanceof SyscallError)) throw error;
    } finally {
      close(fd);
    }
    await turns.next();
  }
  return shapes;
}

function shapeOf(image: ErofsImage): ImageShape {
  const { blocks, inos } = image.superBlock;
  const { sec, nsec } = image.root().mtime;
  return { blocks, inodes: inos, rootTime: sec * 1_000_000_000n + BigInt(nsec) };
}

interface Swept {
  readonly objects: DigestList;
  readonly bytes: number;
  readonly held: ObjectCount;
  readonly kept: ObjectCount;
  readonly temporary: readonly ByteString[];
  readonly strange: readonly StrangeFile[];
}

/** Looks at every object; nothing is dead if it is to be held. */
async function sweep(
  repository: RepositoryFiles,
  live: DigestTable,
  now: number,
  turns: Turns,
  holds: boolean,
): Promise<Swept> {
  const dead = new DigestList(repository.algorithm);
  const deadCount = { objects: 0, bytes: 0 };
  const kept = { objects: 0, bytes: 0 };
  const temporary: ByteString[] = [];
  const strange: StrangeFile[] = [];
  for (const directory of readObjectDirectories(repository)) {
    for (const digest of directory.objects) {
      const isLive = live.has(digest);
      const size = lstatatIfExists(directory.dirfd, digest.slice(2))?.size ?? 0;
      const count = isLive ? kept : deadCount;
      count.objects++;
      count.bytes += size;
      if (!isLive && !holds) dead.add(digest);
    }
    for (const name of directory.temporary) {
      if (isStale(directory.dirfd, name, now)) {
        temporary.push(`${directory.path}/${name}` as ByteString);
      }
    }
    strange.push(...directory.strange);
    await turns.next();
  }
  const held = holds ? deadCount : { objects: 0, bytes: 0 };
  return { objects: dead, bytes: holds ? 0 : deadCount.bytes, held, kept, temporary, strange };
}

function isStale(dirfd: Fd, path: ByteString, now: number): boolean {
  const stat = lstatatIfExists(dirfd, path);
  return stat !== undefined && Number(stat.mtimeSec) * 1000 < now - STALE_AFTER_MILLISECONDS;
}

/** The entries that nothing leads to, and the refs that lead to nothing. */
function deadLinks(
  links: RepositoryLinks,
  mark: Mark,
  holds: boolean,
  deadRefs: readonly ByteString[],
): Pick<GcPlan, "links" | "linkCount"> {
  const dead: ByteString[] = [];
  const linkCount = { streams: 0, images: 0 };
  if (holds) return { links: dead, linkCount };
  for (const { category, entries } of [links.streams, links.images]) {
    for (const [name, digest] of entries) {
      if (mark.reached.has(digest)) continue;
      dead.push(`${category}/${name}` as ByteString);
      linkCount[category]++;
    }
  }
  for (const path of deadRefs) {
    dead.push(path);
    linkCount[path.startsWith("streams/") ? "streams" : "images"]++;
  }
  return { links: dead, linkCount };
}
