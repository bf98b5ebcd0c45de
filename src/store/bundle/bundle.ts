/**
 * OCI runtime bundles: a directory that crun or runc runs, whose root file system is a composefs mount.
 *
 *     DIR/config.json   what to run, and how
 *     DIR/rootfs        the image, with a writable layer over it unless that was not wanted
 *     DIR/upper, work   that layer: what the container writes
 *
 * The image and its objects stay in the repository for as long as the bundle is mounted: garbage collection
 * sees the mount.
 *
 * Source: OCI runtime-spec 1.2, bundle.md.
 */

import { rmSync } from "node:fs";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { RuntimeConfig } from "../../core/oci/runtime-config.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  createAtomicFile,
  lstatatIfExists,
  mkdirat,
  mkdiratIfMissing,
  openat,
  readDirectory,
  rmdirat,
  unlinkat,
} from "../../floor/mod.ts";
import { unmount } from "../../mount/mod.ts";
import type { Repository } from "../repository.ts";
import { mountRepositoryImage } from "./mount-repository-image.ts";

const ROOTFS = "rootfs";
const CONFIG = "config.json";
const UPPER = "upper";
const WORK = "work";

/** What a bundle is made of. */
export interface BundleRequest {
  /** A directory that is not there yet, or is empty. */
  readonly directory: ByteString;
  /** The EROFS image. */
  readonly digest: FsVerityDigest;
  readonly config: RuntimeConfig;
}

/**
 * Makes a bundle and mounts its root file system. If anything fails, nothing is left behind.
 *
 * Throws `output-failed` where the directory cannot be used, and what mounting throws.
 */
export function makeBundle(repo: Repository, { directory, digest, config }: BundleRequest): void {
  const undo: (() => void)[] = [];
  try {
    if (mkdiratIfMissing(AT_FDCWD, directory, 0o700)) undo.push(() => rmdirat(AT_FDCWD, directory));
    else assertEmpty(directory);
    const make = (name: string): ByteString => {
      const path = `${directory}/${name}` as ByteString;
      mkdirat(AT_FDCWD, path, 0o755);
      undo.push(() => rmdirat(AT_FDCWD, path));
      return path;
    };
    const rootfs = make(ROOTFS);
    const layer = config.root.readonly ? {} : { upperdir: make(UPPER), workdir: make(WORK) };
    const file = `${directory}/${CONFIG}` as ByteString;
    writeConfig(file, config);
    undo.push(() => unlinkat(AT_FDCWD, file));
    // The commit point: with the mount the bundle is complete.
    mountRepositoryImage(repo, digest, rootfs, { ...layer, readOnly: config.root.readonly });
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

/**
 * Unmounts the root file system of a bundle and removes what {@link makeBundle} made; what the container has
 * written goes with it unless `keepChanges`. Throws `mount-failed` while the container runs.
 */
export function removeBundle(
  directory: ByteString,
  options: { readonly keepChanges?: boolean } = {},
): void {
  const path = (name: string): ByteString => `${directory}/${name}` as ByteString;
  if (lstatatIfExists(AT_FDCWD, path(CONFIG)) === undefined) {
    throw cannotUse(directory, "it is no bundle: it has no config.json");
  }
  unmount(path(ROOTFS));
  rmdirat(AT_FDCWD, path(ROOTFS));
  removeTree(path(WORK));
  if (options.keepChanges === true && lstatatIfExists(AT_FDCWD, path(UPPER)) !== undefined) {
    unlinkat(AT_FDCWD, path(CONFIG));
    return;
  }
  removeTree(path(UPPER));
  unlinkat(AT_FDCWD, path(CONFIG));
  rmdirat(AT_FDCWD, directory);
}

function assertEmpty(directory: ByteString): void {
  const fd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    if (readDirectory(fd).length > 0) throw cannotUse(directory, "it is not empty");
  } finally {
    close(fd);
  }
}

/** Names below are bytes, and may be of a container that means harm: nothing is followed. */
function removeTree(path: ByteString): void {
  rmSync(Buffer.from(path, "latin1"), { recursive: true, force: true });
}

function writeConfig(path: ByteString, config: RuntimeConfig): void {
  const file = createAtomicFile(path);
  try {
    file.write(Buffer.from(`${JSON.stringify(config, undefined, 2)}\n`));
    file.commit();
  } finally {
    file.discard();
  }
}

function cannotUse(directory: ByteString, reason: string): ComposefsError {
  return new ComposefsError(
    "output-failed",
    `Cannot use "${displayText(directory)}" as a bundle: ${reason}`,
  );
}
