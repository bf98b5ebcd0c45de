/** The EROFS images: whether they can be read, and which of their files lack their content. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { openImage } from "../../core/erofs/reader.ts";
import { walkImage } from "../../core/erofs/walk-image.ts";
import { ComposefsError } from "../../core/errors.ts";
import { objectPath } from "../../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { FileContent } from "../../core/tree/node.ts";
import { SyscallError, close, fileSourceOf } from "../../floor/mod.ts";
import { openObjectOrFault } from "../survey/check-object.ts";
import { objectOfName } from "../survey/names.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";
import type { ObjectStates } from "./object-states.ts";

/** An EROFS image as fsck knows it. */
export interface CheckedImage {
  readonly digest: FsVerityDigest;
  /** Why it cannot be read; `undefined` if it can. */
  readonly trouble: string | undefined;
  /** The object of the image itself is missing or damaged: that is told elsewhere. */
  readonly isObjectDamaged: boolean;
  /** Its objects that are missing or damaged. */
  readonly lacks: ReadonlySet<FsVerityDigest>;
  /** Paths of the files that need these: the first ones, and how many there are. */
  readonly files: readonly ByteString[];
  readonly fileCount: number;
}

/** So many paths say where the damage is; more would only fill the memory. */
const FILES_MAX = 1000;

/** Reads an image and looks for the objects of its files. Never throws for what is in it. */
export function checkImage(
  repository: RepositoryFiles,
  digest: FsVerityDigest,
  objects: ObjectStates,
): CheckedImage {
  const lacks = new Set<FsVerityDigest>();
  const files: ByteString[] = [];
  let fileCount = 0;
  const result = (trouble: string | undefined, isObjectDamaged = false): CheckedImage => {
    return { digest, trouble, isObjectDamaged, lacks, files, fileCount };
  };
  if (objects.faultOf(digest) !== undefined) return result("its object is damaged", true);
  const fd = openObjectOrFault(repository.dirfd, digest);
  if (typeof fd !== "number") return result(fd.detail, true);
  try {
    const image = openImage(fileSourceOf(fd, digest));
    image.wholly(() => {
      for (const { path, node } of walkImage(image)) {
        if (node.kind !== "file" || node.content.kind !== "external") continue;
        const object = objectOf(node.content, repository);
        // A file whose redirect leads to no object here has its content elsewhere, if anywhere.
        if (object === undefined || objects.faultOf(object) === undefined) continue;
        lacks.add(object);
        fileCount++;
        if (files.length < FILES_MAX) files.push(path);
      }
    });
    return result(undefined);
  } catch (error) {
    if (!(error instanceof ComposefsError || error instanceof SyscallError)) throw error;
    return result(error.message);
  } finally {
    close(fd);
  }
}

/** What the kernel opens is the path; the digest is what it compares with. */
function objectOf(
  { path, digest }: Extract<FileContent, { kind: "external" }>,
  { algorithm }: RepositoryFiles,
): FsVerityDigest | undefined {
  const where = path ?? (digest === undefined ? undefined : objectPath(digest));
  return where?.[2] === "/"
    ? objectOfName(where.slice(0, 2), where.slice(3), algorithm)
    : undefined;
}
