/**
 * Images that are mounted now, whatever the refs say: what was opened must stay readable.
 *
 * A composefs mount is an overlay, and most do not tell of which image: the EROFS mount below has no
 * place of its own, and the source is what its maker chose. But statfs(2) of an overlay without an upper
 * directory answers for the image below it: blocks and inodes, as its super block has them; and the root
 * directory is the image's. Every image of the repository that is like this is taken for mounted; a few
 * too many do no harm.
 *
 * Where that cannot be asked (an upper directory, a FUSE server, a namespace of somebody else's), all
 * images of the repository stay, unless the mount is known to be another repository's.
 */

import { readFileSync, readdirSync, readlinkSync, statSync, statfsSync } from "node:fs";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { processes, readMounts } from "./mountinfo.ts";
import type { MountInfo } from "./mountinfo.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";

/** What an image and a mount of it have in common. */
export interface ImageShape {
  /** Blocks and inodes: what the super block says and statfs(2) repeats. */
  readonly blocks: number;
  readonly inodes: number;
  /** Of the root directory, nanoseconds since 1970; nothing where the root cannot be seen. */
  readonly rootTime: bigint | undefined;
}

/** Which images are mounted. */
export interface LiveMounts {
  /** Images that are, or may be, mounted, with where that was seen. */
  readonly images: ReadonlyMap<FsVerityDigest, string>;
  /** Mounts of which any image of the repository could be below. */
  readonly unidentified: readonly string[];
  /** Mounts over this repository's objects of an image that it does not have: nobody knows what they need. */
  readonly foreignImages: readonly string[];
}

/** Whose objects a mount reads. */
type Owner = "ours" | "others" | "unknown";

const FILE_SYSTEMS: ReadonlySet<string> = new Set(["overlay", "erofs", "fuse.composefs"]);

/** Finds the images that are mounted; `shapes` are those of all images of the repository. */
export function findLiveMounts(
  repository: RepositoryFiles,
  shapes: ReadonlyMap<FsVerityDigest, ImageShape>,
  mounts: readonly MountInfo[] = readMounts(FILE_SYSTEMS),
): LiveMounts {
  const images = new Map<FsVerityDigest, string>();
  const unidentified: string[] = [];
  const foreignImages: string[] = [];
  const objects = identityOfObjects(repository);
  for (const mount of onePerDevice(mounts.filter(isComposefs))) {
    const where = displayText(mount.mountPoint);
    const shape = shapeOf(mount);
    const owner = ownerOf(mount, objects);
    if (shape === undefined) {
      if (owner !== "others") unidentified.push(where);
      continue;
    }
    let known = false;
    for (const [digest, each] of shapes) {
      if (!isAlike(each, shape)) continue;
      known = true;
      if (!images.has(digest)) images.set(digest, where);
    }
    if (!known && owner === "ours") foreignImages.push(where);
  }
  for (const [digest, where] of openImages(shapes)) {
    if (!images.has(digest)) images.set(digest, where);
  }
  return { images, unidentified, foreignImages };
}

function isAlike(a: ImageShape, b: ImageShape): boolean {
  if (a.blocks !== b.blocks || a.inodes !== b.inodes) return false;
  return a.rootTime === undefined || b.rootTime === undefined || a.rootTime === b.rootTime;
}

/** Overlays with data-only layers or verity, EROFS, FUSE servers: what a composefs mount looks like. */
function isComposefs(mount: MountInfo): boolean {
  if (mount.fileSystem !== "overlay") return true;
  return (
    mount.source.startsWith("composefs") ||
    mount.options.some(
      (option) =>
        option === "verity=require" ||
        option.startsWith("datadir+=") ||
        (option.startsWith("lowerdir=") && option.includes("::")),
    )
  );
}

/** The same file system is often seen in many places: one where it can be asked is enough. */
function onePerDevice(mounts: readonly MountInfo[]): MountInfo[] {
  const chosen = new Map<string, MountInfo>();
  for (const mount of mounts) {
    const known = chosen.get(mount.device);
    if (known === undefined || usefulness(mount) > usefulness(known)) {
      chosen.set(mount.device, mount);
    }
  }
  return [...chosen.values()];
}

function usefulness(mount: MountInfo): number {
  if (!isReachable(mount)) return 0;
  return mount.root === "/" ? 2 : 1;
}

/** Whether the path leads to this mount and not to another one above it. */
function isReachable(mount: MountInfo): boolean {
  try {
    const { dev } = statSync(pathOf(mount), { bigint: true });
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
    const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
    return `${major}:${minor}` === mount.device;
  } catch {
    return false;
  }
}

function pathOf({ pid, mountPoint }: MountInfo): Buffer {
  const root = pid === "self" ? "" : `/proc/${pid}/root`;
  return Buffer.from(root + mountPoint, "latin1");
}

/** What the mount says of the image below it; nothing if it says nothing. */
function shapeOf(mount: MountInfo): ImageShape | undefined {
  // Then the answer is about the file system of the upper directory.
  if (mount.options.some((option) => option.startsWith("upperdir="))) return undefined;
  if (!isReachable(mount)) return undefined;
  try {
    const { blocks, files, ffree } = statfsSync(pathOf(mount), { bigint: true });
    if (blocks === 0n) return undefined; // a FUSE server answers with zeros
    const inodes = Number(BigInt.asUintN(64, files - ffree));
    const rootTime =
      mount.root === "/" ? statSync(pathOf(mount), { bigint: true }).mtimeNs : undefined;
    return { blocks: Number(blocks), inodes, rootTime };
  } catch {
    return undefined;
  }
}

interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

function identityOfObjects(repository: RepositoryFiles): FileIdentity | undefined {
  try {
    return identity(`/proc/self/fd/${repository.dirfd}/objects`);
  } catch {
    return undefined;
  }
}

function identity(path: string): FileIdentity {
  const { dev, ino } = statSync(Buffer.from(path, "latin1"), { bigint: true });
  return { dev, ino };
}

/** By the data directories among the options, as far as these are paths that lead somewhere. */
function ownerOf(mount: MountInfo, objects: FileIdentity | undefined): Owner {
  const directories = dataDirectories(mount);
  let known = directories.length > 0;
  for (const directory of directories) {
    if (!directory.startsWith("/") || directory.startsWith("/proc/self/fd/")) {
      known = false; // it meant something to whoever mounted it
      continue;
    }
    try {
      const root = mount.pid === "self" ? "" : `/proc/${mount.pid}/root`;
      const found = identity(root + directory);
      if (found.dev === objects?.dev && found.ino === objects.ino) return "ours";
    } catch {
      known = false;
    }
  }
  return known ? "others" : "unknown";
}

function dataDirectories({ options }: MountInfo): string[] {
  return options.flatMap((option) => {
    if (option.startsWith("datadir+=")) return [option.slice("datadir+=".length)];
    if (!option.startsWith("lowerdir=")) return [];
    const [, ...data] = option.slice("lowerdir=".length).split(/(?<!\\)::?/);
    return data.map((each) => each.replaceAll("\\:", ":"));
  });
}

/**
 * Images that a loop device or a process has open: mounts of older kernels that nobody sees, and FUSE
 * servers.
 */
function openImages(shapes: ReadonlyMap<FsVerityDigest, ImageShape>): Map<FsVerityDigest, string> {
  const found = new Map<FsVerityDigest, string>();
  const note = (path: string, where: string): void => {
    const [, prefix = "", rest = ""] =
      /\/([0-9a-f]{2})\/([0-9a-f]+)(?: \(deleted\))?$/.exec(path) ?? [];
    const digest = (prefix + rest) as FsVerityDigest;
    if (shapes.has(digest) && !found.has(digest)) found.set(digest, where);
  };
  for (const name of list("/sys/block").filter((each) => each.startsWith("loop"))) {
    try {
      const file = readFileSync(`/sys/block/${name}/loop/backing_file`, "latin1").trimEnd();
      note(file, `/dev/${name}`);
    } catch {
      // not attached
    }
  }
  for (const pid of processes()) {
    if (pid === String(process.pid)) continue;
    for (const fd of list(`/proc/${pid}/fd`)) {
      try {
        note(readlinkSync(`/proc/${pid}/fd/${fd}`), `process ${pid}`);
      } catch {
        // closed meanwhile
      }
    }
  }
  return found;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // gone, or another user's
  }
}
