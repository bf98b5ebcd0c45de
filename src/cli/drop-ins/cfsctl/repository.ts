/** The repository that the global options mean. */

import { byteString, concatByteStrings, displayText } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { openImage } from "../../../core/erofs/reader.ts";
import type { ErofsImage } from "../../../core/erofs/reader.ts";
import { ComposefsError } from "../../../core/errors.ts";
import type { FsVerityAlgorithm } from "../../../core/fsverity/digest.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  fileSourceOf,
  openat,
} from "../../../floor/mod.ts";
import { readMetaFile } from "../../../store/meta-file.ts";
import { Repository } from "../../../store/mod.ts";
import { inferMetadata } from "../../../store/old-repository.ts";
import { repositoryPath } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** Opens the repository, at `path` if that is given, for as long as `use` runs. */
export async function withRepository<T>(
  settings: Settings,
  use: (repository: Repository) => T | Promise<T>,
  path: ByteString = repositoryPath(settings),
): Promise<T> {
  const { erofsVersion, insecure, requireVerity, noUpgrade } = settings;
  if (insecure && requireVerity) {
    throw new ComposefsError(
      "repository-conflict",
      `Cannot require fs-verity of repository "${displayText(path)}": --insecure says otherwise`,
    );
  }
  const verity = requireVerity ? "required" : insecure ? "missing-allowed" : undefined;
  const formats = erofsVersion === undefined ? undefined : { default: erofsVersion, extra: [] };
  const repository = Repository.open(path, { verity, formats, upgrade: !noUpgrade });
  try {
    checkHash(settings, repository.algorithm, path);
    return await use(repository);
  } finally {
    repository.close();
  }
}

/**
 * The hash of the repository, of an old one by its objects; nothing is locked or changed. Throws where there
 * is none, or where `--hash` asks for another.
 */
export function algorithmOf(settings: Settings): FsVerityAlgorithm {
  const path = repositoryPath(settings);
  const dirfd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  try {
    const file = readMetaFile(dirfd) ?? (settings.noUpgrade ? undefined : inferMetadata(dirfd));
    if (file === undefined) {
      const message = `Cannot read repository "${displayText(path)}": it has no meta.json`;
      throw new ComposefsError("repository-missing", message);
    }
    checkHash(settings, file.metadata.algorithm, path);
    return file.metadata.algorithm;
  } finally {
    close(dirfd);
  }
}

/** The path of the directory of objects. */
export function objectsPath(repository: Repository): ByteString {
  return concatByteStrings(repository.path, byteString("/objects"));
}

/** Hands an image of the repository to `use`. */
export function withImage<T>(
  repository: Repository,
  name: ByteString,
  use: (image: ErofsImage) => T,
): T {
  const { fd } = repository.openImage(name);
  const source = fileSourceOf(fd, displayText(name));
  try {
    return use(openImage(source));
  } finally {
    source.close();
  }
}

function checkHash({ hash }: Settings, found: FsVerityAlgorithm, path: ByteString): void {
  if (hash === undefined || hash === found) return;
  throw new ComposefsError(
    "repository-conflict",
    `Cannot use repository "${displayText(path)}" with ${hash}: it has ${found}`,
  );
}
