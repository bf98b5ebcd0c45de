/** Which file names in a repository mean what. Source: composefs-rs 0.9, repository_format and util. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { DIGEST_SIZE } from "../../core/fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../core/fsverity/digest.ts";

const OBJECT_PREFIX = /^[0-9a-f]{2}$/;
const HEX = /^[0-9a-f]+$/;

/** How each program names what it has not finished. */
const TEMPORARY = [
  /^\.tmp[0-9a-f]{12}$/, //                this project: files
  /^\.tmp-object-[A-Za-z0-9]{6,32}$/, //   composefs-rs: objects
  /^\.symlink-[A-Za-z0-9]{6,32}$/, //      composefs-rs: links
  /^\.tmp[A-Za-z0-9]{6}$/, //              C composefs: objects
];

/** Whether a directory in `objects/` can hold objects. */
export function isObjectPrefix(name: string): boolean {
  return OBJECT_PREFIX.test(name);
}

/** The object that a file in `objects/XX/` is; `undefined` for a name that is none. */
export function objectOfName(
  prefix: string,
  name: string,
  algorithm: FsVerityAlgorithm,
): FsVerityDigest | undefined {
  if (name.length !== 2 * DIGEST_SIZE[algorithm] - 2 || !HEX.test(name)) return undefined;
  return (prefix + name) as FsVerityDigest;
}

/** Whether a name is one that only files have that are being made, or were when their maker died. */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(".") && TEMPORARY.some((pattern) => pattern.test(name));
}

/** The object that a link in `streams/` or `images/` leads to; `undefined` if it leads elsewhere. */
export function objectOfLink(
  target: ByteString,
  algorithm: FsVerityAlgorithm,
): FsVerityDigest | undefined {
  const [, prefix, rest] = /^\.\.\/objects\/([^/]+)\/([^/]+)$/.exec(target) ?? [];
  if (prefix === undefined || rest === undefined || !isObjectPrefix(prefix)) return undefined;
  return objectOfName(prefix, rest, algorithm);
}

/**
 * The entry that a ref leads to, whose directory is `depth` levels below `refs/`; `undefined` if it
 * leads elsewhere.
 */
export function entryOfRef(target: ByteString, depth: number): ByteString | undefined {
  const up = "../".repeat(depth + 1);
  if (!target.startsWith(up)) return undefined;
  const name = target.slice(up.length);
  return name === "" || name === "." || name === ".." || name.includes("/") || name === "refs"
    ? undefined
    : (name as ByteString);
}
