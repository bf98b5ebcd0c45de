/** An EROFS image of a repository as a mount: its files come from the repository's objects. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { close } from "../../floor/mod.ts";
import { mountComposefs, planMount } from "../../mount/mod.ts";
import type { MountRequest } from "../../mount/mod.ts";
import type { Repository } from "../repository.ts";

/** How to mount it. */
export type RepositoryMountOptions = Pick<
  MountRequest,
  "upperdir" | "workdir" | "readOnly" | "idmap"
>;

/**
 * Mounts an image of a repository. Where the repository requires fs-verity the kernel checks the image's digest
 * and each object's; else the image was verified when it was opened, and nothing is checked later.
 *
 * Throws what `Repository.openImage` and {@link mountComposefs} throw.
 */
export function mountRepositoryImage(
  repo: Repository,
  digest: FsVerityDigest,
  target: ByteString,
  options: RepositoryMountOptions = {},
): void {
  const { fd } = repo.openImage(digest as string as ByteString);
  try {
    mountComposefs(requestOf(repo, fd, digest, target, options));
  } finally {
    close(fd);
  }
}

/** Says what {@link mountRepositoryImage} would do, a sentence for each step. */
export function describeRepositoryMount(
  repo: Repository,
  digest: FsVerityDigest,
  target: ByteString,
  options: RepositoryMountOptions = {},
): string[] {
  const image = `${repo.path}/images/${digest}` as ByteString;
  return planMount(requestOf(repo, image, digest, target, options)).describe();
}

function requestOf(
  repo: Repository,
  image: MountRequest["image"],
  digest: FsVerityDigest,
  target: ByteString,
  options: RepositoryMountOptions,
): MountRequest {
  const isRequired = repo.verity === "required";
  return {
    ...options,
    image,
    target,
    basedirs: [`${repo.path}/objects` as ByteString],
    ...(isRequired ? { digest } : {}),
    verity: isRequired ? "require" : "off",
  };
}
