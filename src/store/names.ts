/**
 * Names in a repository: of streams, and of refs. They become file names, so they must not lead anywhere
 * else.
 */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import { DIGEST_SIZE, parseFsVerityDigest } from "../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../core/fsverity/digest.ts";
import type { Category } from "./survey/repository-files.ts";

/** What refs can be of, by the directory that they are in. */
export type RefKind = Category;

/** The directory beside the entries that holds the refs. */
export const REFS = "refs";

const NAME_MAX = 255;
/** Leaves room for what is before it in a path of 4095 bytes. */
const REF_NAME_MAX = 3072;

/** Why a stream cannot have this name; `undefined` if it can. */
export function problemOfStreamId(id: ByteString): string | undefined {
  if (id === REFS) return "it is the directory of refs";
  if (id.includes("/")) return "it has a slash";
  return problemOfComponent(id);
}

/** Why a ref cannot have this name; `undefined` if it can. Slashes make directories. */
export function problemOfRefName(name: ByteString): string | undefined {
  if (name.length > REF_NAME_MAX) return `it is longer than ${REF_NAME_MAX} bytes`;
  for (const component of name.split("/")) {
    const problem = problemOfComponent(component as ByteString);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOfComponent(name: ByteString): string | undefined {
  if (name === "") return "a part of it is empty";
  if (name === "." || name === "..") return `a part of it is "${name}"`;
  if (name.includes("\0")) return "it has a NUL";
  return name.length > NAME_MAX ? `a part of it is longer than ${NAME_MAX} bytes` : undefined;
}

/** Throws `usage`. */
export function assertStreamId(id: ByteString): void {
  assertName("a stream", id, problemOfStreamId(id));
}

/** Throws `usage`. */
export function assertRefName(name: ByteString): void {
  assertName("a ref", name, problemOfRefName(name));
}

function assertName(what: string, name: ByteString, problem: string | undefined): void {
  if (problem === undefined) return;
  throw new ComposefsError("usage", `Cannot name ${what} "${displayText(name)}": ${problem}`);
}

/** A name that is an image digest of this algorithm, as one. */
export function asDigest(
  name: ByteString,
  algorithm: FsVerityAlgorithm,
): FsVerityDigest | undefined {
  const isDigest = name.length === 2 * DIGEST_SIZE[algorithm] && /^[0-9a-f]*$/.test(name);
  return isDigest ? parseFsVerityDigest(name) : undefined;
}
