/**
 * The xattrs of an entry, within the limits of C `mkcomposefs`
 * (libcomposefs/lcfs-writer.c, lcfs_node_set_xattr).
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { XATTR_NAME_MAX } from "../../core/erofs/format.ts";
import { getXattr, getXattrAt, isErrno, listXattrs, listXattrsAt } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { ReadFailure, changed } from "./entry-failure.ts";
import type { NamedXattr } from "./entry-record.ts";
import type { ScanOptions } from "./options.ts";

const VALUE_MAX = 0xffff;
/** LCFS_INODE_EXTERNAL_XATTR_MAX: all xattrs of an inode as counted below. */
const TOTAL_MAX = 0x7fff;
/** Header of an inode's xattrs, counted once; header of one xattr with the worst padding. */
const HEADER_SIZE = 12;
const ENTRY_SIZE = 2 * 4 - 1;

const NONE: readonly NamedXattr[] = [];

/** Which xattrs a tree gets. */
export type XattrChoice = "all" | "user" | "none";

/** What the options ask for. Throws `usage` if they contradict each other, as C has it. */
export function xattrChoice({ skipXattrs, userXattrs }: ScanOptions): XattrChoice {
  if (skipXattrs === true && userXattrs === true) {
    throw new ComposefsError("usage", "Cannot leave out all xattrs and keep those of users");
  }
  return skipXattrs === true ? "none" : userXattrs === true ? "user" : "all";
}

/** The xattrs of an open file or directory. */
export function readXattrs(fd: Fd, choice: XattrChoice): readonly NamedXattr[] {
  if (choice === "none") return NONE;
  return readAll(listXattrs(fd), choice, (name) => getXattr(fd, name));
}

/** The xattrs of a name, of a symlink its own. */
export function readXattrsAt(
  dirfd: Fd,
  path: ByteString,
  choice: XattrChoice,
): readonly NamedXattr[] {
  if (choice === "none") return NONE;
  return readAll(listXattrsAt(dirfd, path), choice, (name) => getXattrAt(dirfd, path, name));
}

function readAll(
  names: readonly string[],
  choice: XattrChoice,
  get: (name: string) => Uint8Array,
): readonly NamedXattr[] {
  if (names.length === 0) return NONE;
  const xattrs: NamedXattr[] = [];
  let total = HEADER_SIZE;
  for (const name of names as ByteString[]) {
    if (choice === "user" && !name.startsWith("user.")) continue;
    const value = getUnlessGone(name, get);
    if (name.length > XATTR_NAME_MAX) throw tooLarge(name, "has a name of more than 255 bytes");
    if (value.length > VALUE_MAX) throw tooLarge(name, "has more than 65535 bytes");
    total += ENTRY_SIZE + name.length + value.length;
    if (total > TOTAL_MAX) throw new ReadFailure("invalid-tree", "it has too many bytes of xattrs");
    xattrs.push([name, value]);
  }
  return xattrs;
}

function getUnlessGone(name: ByteString, get: (name: string) => Uint8Array): Uint8Array {
  try {
    return get(name);
  } catch (error) {
    throw isErrno(error, "ENODATA") ? changed() : error;
  }
}

function tooLarge(name: ByteString, what: string): ReadFailure {
  return new ReadFailure("invalid-tree", `its xattr "${displayText(name)}" ${what}`);
}
