/** OCI images of a repository as operands of commands that also take files. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { openImage } from "../../core/erofs/reader.ts";
import { readTree } from "../../core/erofs/read-tree.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Directory } from "../../core/tree/node.ts";
import { AT_FDCWD, fileSourceOf, lstatatIfExists } from "../../floor/mod.ts";
import { loadZstd } from "../../floor/zstd.ts";
import { findErofs, openOciImage } from "../../store/mod.ts";
import type { OciImage, Repository } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openRepository } from "./repository-options.ts";

const REPOSITORY_OPTIONS = ["repo", "user", "system", "require-verity"] as const;

/**
 * Whether an operand names an image of the repository, and not a file: with an option that names the
 * repository it does; else what is there as a file, or looks like a path, is a file.
 */
export function isRepositoryImage(operand: ByteString, invocation: Invocation): boolean {
  if (namesRepository(operand, invocation)) return true;
  if (operand === "-" || operand.startsWith("/") || operand.startsWith(".")) return false;
  return lstatatIfExists(AT_FDCWD, operand) === undefined;
}

function namesRepository(operand: ByteString, invocation: Invocation): boolean {
  return operand.startsWith("@") || REPOSITORY_OPTIONS.some((name) => invocation.has(name));
}

/** Opens the repository that the options name, and images in it, for as long as `use` runs. */
export async function withRepository<T>(
  invocation: Invocation,
  io: Io,
  use: (repo: Repository, open: (reference: ByteString) => OciImage) => T | Promise<T>,
): Promise<T> {
  const zstd = await loadZstd();
  const repo = openRepository(invocation, io);
  try {
    return await use(repo, (reference) => openOciImage(repo, reference, zstd));
  } finally {
    repo.close();
  }
}

/**
 * As {@link withRepository}, for an operand that could have been a file: an error says that it is none.
 */
export async function withRepositoryImage<T>(
  operand: ByteString,
  invocation: Invocation,
  io: Io,
  use: (repo: Repository, image: OciImage) => T,
): Promise<T> {
  try {
    return await withRepository(invocation, io, (repo, open) => use(repo, open(operand)));
  } catch (error) {
    const isMissing =
      error instanceof ComposefsError &&
      (error.code === "repository-missing" || error.code === "not-in-repository");
    if (!isMissing || namesRepository(operand, invocation)) throw error;
    const message = `${error.message}; and "${displayText(operand)}" is no file`;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    throw new ComposefsError(error.code, message, { cause: error, ...hint });
  }
}

/** The EROFS image of an OCI image, in the repository's default format. Throws `not-in-repository`. */
export function erofsOf(
  repo: Repository,
  image: OciImage,
  reference: ByteString,
  { bootable = false } = {},
): FsVerityDigest {
  const variant = { version: repo.formats.default, bootable, keepUserXattrs: false };
  const digest = findErofs(image, variant);
  if (digest !== undefined) return digest;
  const what = bootable ? "bootable EROFS image" : "EROFS image";
  const hint = bootable ? "pull it with --bootable" : "an artifact has none; pull an image again";
  throw new ComposefsError(
    "not-in-repository",
    `Cannot use "${displayText(reference)}": it has no ${what}`,
    { hint },
  );
}

/** The tree of an EROFS image in a repository. */
export function treeOfErofs(repo: Repository, digest: FsVerityDigest): Directory {
  const { fd } = repo.openImage(digest as string as ByteString);
  const source = fileSourceOf(fd, digest);
  try {
    return readTree(openImage(source));
  } finally {
    source.close();
  }
}
