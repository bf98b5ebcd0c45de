/** What images cost: the objects that each needs, and which of them it has for itself. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { objectPath } from "../../core/fsverity/digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { FileStat, lstatatIfExists } from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";
import type { OciImage } from "./image.ts";
import { configStreamName, layerStreamName, manifestStreamName } from "./names.ts";

/** Bytes of the objects of one image. */
export interface ImageUsage {
  readonly size: number;
  /** Of objects that no other of the images needs: what its removal would free. */
  readonly uniqueSize: number;
  /** Of objects that others need too. */
  readonly sharedSize: number;
}

/** Tells what images, given by their objects, cost beside each other; a missing object counts nothing. */
export function measureUsage(
  repo: Repository,
  objects: ReadonlyMap<OciDigest, ReadonlySet<FsVerityDigest>>,
): Map<OciDigest, ImageUsage> {
  const users = new Map<FsVerityDigest, number>();
  for (const needed of objects.values()) {
    for (const digest of needed) users.set(digest, (users.get(digest) ?? 0) + 1);
  }
  const sizes = new ObjectSizes(repo);
  const usage = new Map<OciDigest, ImageUsage>();
  for (const [digest, needed] of objects) {
    let uniqueSize = 0;
    let sharedSize = 0;
    for (const each of needed) {
      if (users.get(each) === 1) uniqueSize += sizes.of(each);
      else sharedSize += sizes.of(each);
    }
    usage.set(digest, { size: uniqueSize + sharedSize, uniqueSize, sharedSize });
  }
  return usage;
}

/**
 * Every object that an image needs: its streams, what they consist of, and its EROFS images. Throws what
 * reading the streams throws.
 */
export function objectsOfImage(repo: Repository, image: OciImage): Set<FsVerityDigest> {
  const objects = new Set<FsVerityDigest>(image.erofs.values());
  const addStream = (name: ByteString): void => {
    const { digest, stream, close } = repo.openStream(name);
    try {
      objects.add(digest);
      for (const each of stream.objectRefs) objects.add(each);
    } finally {
      close();
    }
  };
  addStream(manifestStreamName(image.manifestDigest));
  addStream(configStreamName(image.configDigest));
  for (const diffId of new Set(image.layers.map((layer) => layer.diffId))) {
    addStream(layerStreamName(diffId));
  }
  return objects;
}

class ObjectSizes {
  readonly #repo: Repository;
  readonly #known = new Map<FsVerityDigest, number>();
  readonly #stat = new FileStat();

  constructor(repo: Repository) {
    this.#repo = repo;
  }

  of(digest: FsVerityDigest): number {
    let size = this.#known.get(digest);
    if (size === undefined) {
      const path = objectPath(digest);
      size = lstatatIfExists(this.#repo.objects.dirfd, path, this.#stat)?.size ?? 0;
      this.#known.set(digest, size);
    }
    return size;
  }
}
