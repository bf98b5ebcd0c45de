/** Small files of an EROFS image in a repository, by path, as a process rooted in the image finds them. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { openImage, isDirectory, isFile, isSymlink } from "../../core/erofs/reader.ts";
import type { ErofsImage } from "../../core/erofs/reader.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { ComposefsError } from "../../core/errors.ts";
import { fileSourceOf } from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";

/** As many symlinks as the kernel follows. */
const SYMLINK_LIMIT = 40;

/**
 * Hands `use` a function that reads files of the image of this digest: their content, verified, or
 * `undefined` where there is no such file. Symlinks are followed and never lead out of the image.
 */
export function withImageFiles<T>(
  repo: Repository,
  digest: FsVerityDigest,
  use: (read: (path: ByteString, maxBytes: number) => Uint8Array | undefined) => T,
): T {
  const { fd } = repo.openImage(digest as string as ByteString);
  const source = fileSourceOf(fd, digest);
  try {
    const image = openImage(source);
    return use((path, maxBytes) => readFile(repo, image, path, maxBytes));
  } finally {
    source.close();
  }
}

function readFile(
  repo: Repository,
  image: ErofsImage,
  path: ByteString,
  maxBytes: number,
): Uint8Array | undefined {
  const found = followPath(image, path);
  const inode = found === undefined ? undefined : image.lookup(found);
  if (inode === undefined || !isFile(inode)) return undefined;
  if (inode.size > maxBytes) {
    throw new ComposefsError(
      "invalid-manifest",
      `Cannot read "${displayText(path)}" of the image: it has ${inode.size} bytes, over ${maxBytes}`,
    );
  }
  const content = image.content(inode);
  if (content !== undefined) return content;
  const { metacopy } = image.overlay(inode);
  if (metacopy === undefined || metacopy === "none") return new Uint8Array(inode.size);
  return repo.readObject(metacopy, maxBytes);
}

/** The path without symlinks; `undefined` where it leads nowhere. */
function followPath(image: ErofsImage, path: ByteString): ByteString | undefined {
  const names = path.split("/").reverse();
  const way: string[] = [];
  for (let links = 0; names.length > 0;) {
    const name = names.pop()!;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      way.pop();
      continue;
    }
    const inode = image.lookup([...way, name].join("/") as ByteString);
    if (inode === undefined) return undefined;
    if (isSymlink(inode)) {
      if (++links > SYMLINK_LIMIT) return undefined;
      const target = image.readlink(inode);
      if (target.startsWith("/")) way.length = 0;
      names.push(...target.split("/").reverse());
      continue;
    }
    if (names.length > 0 && !isDirectory(inode)) return undefined;
    way.push(name);
  }
  return way.join("/") as ByteString;
}
