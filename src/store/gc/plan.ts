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

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { openImage } from "../../core/erofs/reader.ts";
import type { ErofsImage } from "../../core/erofs/reader.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { SyscallError, close, fileSourceOf, lstatatIfExists } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { manifestStreamName } from "../oci/names.ts";
import { listOrigins } from "../oci/origins.ts";
import { openObjectOrFault } from "../survey/check-object.ts";
import { DigestList } from "../survey/digest-list.ts";
import type { DigestTable } from "../survey/digest-table.ts";
import { readLinks } from "../survey/links.ts";
import type { CategoryLinks, StrangeFile } from "../survey/links.ts";
import { readUnfinished } from "../survey/unfinished.ts";
import { readObjectDirectories } from "../survey/objects.ts";
import type { Category, RepositoryFiles } from "../survey/repository-files.ts";
import { Turns } from "../survey/turns.ts";
import { findLiveMounts } from "./live-mounts.ts";
import type { ImageShape, LiveMounts } from "./live-mounts.ts";
import { markReachable } from "./mark.ts";
import type { GcDamage, Mark, RepositoryLinks } from "./mark.ts";
import { mountRoots, namedRoots, refRoots, unknowable } from "./roots.ts";

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
  /** Notes of where images came from that go or are gone, as paths. */
  readonly origins: readonly ByteString[];
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
    origins: holds ? [] : deadOrigins(repository, links, mark),
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

/** Reads the super blocks of all images; those that have none cannot be mounted. */
async function readShapes(
  repository: RepositoryFiles,
  images: CategoryLinks,
  turns: Turns,
): Promise<Map<FsVerityDigest, ImageShape>> {
  const shapes = new Map<FsVerityDigest, ImageShape>();
  for (const digest of new Set(images.entries.values())) {
    const fd = openObjectOrFault(repository.dirfd, digest);
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

/** The notes of images whose manifest has no entry that stays. */
function deadOrigins(
  repository: RepositoryFiles,
  { streams }: RepositoryLinks,
  mark: Mark,
): ByteString[] {
  return listOrigins(repository).flatMap(({ manifestDigest, path }) => {
    const stream = streams.entries.get(manifestStreamName(manifestDigest));
    return stream !== undefined && mark.reached.has(stream) ? [] : [path];
  });
}
