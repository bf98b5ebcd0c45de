/**
 * Which xattrs an inode has on disk: its own, escaped, and those that speak to overlayfs (where the
 * content is, what it must be, what is a whiteout).
 *
 * Source: composefs libcomposefs/lcfs-writer-erofs.c 1.0.8 (V0, V1); composefs-rs
 * crates/composefs/src/erofs/writer.rs 0.9.0 (V2).
 */

import { byteString, byteStringFrom, compareByteStrings } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import {
  OVERLAY_XATTR_ESCAPED_OPAQUE,
  OVERLAY_XATTR_ESCAPED_WHITEOUT,
  OVERLAY_XATTR_ESCAPED_WHITEOUTS,
  OVERLAY_XATTR_METACOPY,
  OVERLAY_XATTR_OPAQUE,
  OVERLAY_XATTR_USERXATTR_OPAQUE,
  OVERLAY_XATTR_USERXATTR_WHITEOUT,
  OVERLAY_XATTR_USERXATTR_WHITEOUTS,
  escapeOverlayName,
} from "../overlay/names.ts";
import type { Leaf, Xattrs } from "../tree/node.ts";
import type { FormatTraits } from "./version.ts";
import type { PooledXattr, XattrPool } from "./xattr-pool.ts";

const NONE = byteString("");
const X = byteString("x");
const Y = byteString("y");

const NO_XATTRS: readonly PooledXattr[] = [];

/** What tells a nested overlay, with either kind of xattrs, of an escaped whiteout and its directory. */
const MARKS_OF_WHITEOUT = [
  [OVERLAY_XATTR_ESCAPED_WHITEOUT, NONE],
  [OVERLAY_XATTR_USERXATTR_WHITEOUT, NONE],
] as const;
const MARKS_OF_WHITEOUTS = [
  [OVERLAY_XATTR_ESCAPED_WHITEOUTS, NONE],
  [OVERLAY_XATTR_USERXATTR_WHITEOUTS, NONE],
] as const;
const MARKS_OF_OPAQUE = [
  [OVERLAY_XATTR_ESCAPED_OPAQUE, X],
  [OVERLAY_XATTR_USERXATTR_OPAQUE, X],
] as const;

/** Gives inodes their xattrs, in the order in which the inode lists them. */
export class InodeXattrs {
  readonly #traits: FormatTraits;
  readonly #pool: XattrPool;
  readonly #escapedOf = new Map<Xattrs, PooledXattr[]>();

  constructor(traits: FormatTraits, pool: XattrPool) {
    this.#traits = traits;
    this.#pool = pool;
  }

  /** Those of a directory. */
  ofDirectory(
    own: Xattrs,
    directory: { readonly isRoot: boolean; readonly holdsWhiteout: boolean },
  ): readonly PooledXattr[] {
    const added: (readonly [ByteString, ByteString])[] = [];
    if (directory.holdsWhiteout && this.#traits.escapesWhiteouts) {
      added.push(...MARKS_OF_WHITEOUTS);
      if (this.#traits.marksWhiteoutDirectories) added.push(...MARKS_OF_OPAQUE);
    }
    if (directory.isRoot && this.#traits.whiteoutStubs) added.push([OVERLAY_XATTR_OPAQUE, Y]);
    return this.#with(this.escaped(own), added);
  }

  /** Those of the regular file that stands for a whiteout. */
  ofEscapedWhiteout(own: Xattrs): readonly PooledXattr[] {
    return this.#with(this.escaped(own), MARKS_OF_WHITEOUT);
  }

  /** The leaf's own and those by which overlayfs finds its content, in the order of the version. */
  ofLeaf(leaf: Leaf): readonly PooledXattr[] {
    const own = this.escaped(leaf.stat.xattrs);
    if (leaf.kind !== "file" || leaf.content.kind === "inline") return own;
    const { content } = leaf;
    const digest = content.kind === "external" ? content.digest : undefined;
    const metacopy =
      digest === undefined
        ? this.#pool.intern(OVERLAY_XATTR_METACOPY, NONE)
        : this.#pool.metacopy(digest);
    const path = content.kind === "external" ? content.path : undefined;
    const redirect = path === undefined ? undefined : this.#pool.redirect(path);
    return this.#traits.breadthFirst
      ? mergeByName(own, metacopy, redirect)
      : [metacopy, ...(redirect === undefined ? [] : [redirect]), ...own];
  }

  /** A node's own xattrs, escaped, by name. Nodes that share a map share the result. */
  escaped(xattrs: Xattrs): readonly PooledXattr[] {
    if (xattrs.size === 0) return NO_XATTRS;
    let escaped = this.#escapedOf.get(xattrs);
    if (escaped === undefined) {
      const names = [...xattrs.keys()].sort(compareByteStrings);
      escaped = names.map((name) =>
        this.#pool.intern(escapeOverlayName(name), byteStringFrom(xattrs.get(name)!)),
      );
      // Escaping can change the order of names; C sorts after it, V2 does not.
      if (this.#traits.breadthFirst) escaped.sort(compareNames);
      this.#escapedOf.set(xattrs, escaped);
    }
    return escaped;
  }

  /** `own` with further xattrs, each in the place of one of the same name if there is one. */
  #with(
    own: readonly PooledXattr[],
    added: readonly (readonly [ByteString, ByteString])[],
  ): readonly PooledXattr[] {
    if (added.length === 0) return own;
    const xattrs = added.map(([name, value]) => this.#pool.intern(name, value));
    const kept = own.filter(({ name }) => !xattrs.some((xattr) => xattr.name === name));
    return [...kept, ...xattrs].sort(compareNames);
  }
}

function compareNames(a: PooledXattr, b: PooledXattr): number {
  return compareByteStrings(a.name.full, b.name.full);
}

/** Puts the two into the order of `own`. Mostly they are the last; this runs once a file. */
function mergeByName(
  own: readonly PooledXattr[],
  metacopy: PooledXattr,
  redirect: PooledXattr | undefined,
): PooledXattr[] {
  const merged = withBehind(own, metacopy, redirect);
  const last = own[own.length - 1];
  const inOrder = last === undefined || last.name.full < metacopy.name.full;
  return inOrder ? merged : merged.sort(compareNames);
}

/** Of exactly the size that it needs: an array that grows has room for 16 more, 13 MB in 100,000 files. */
function withBehind(
  own: readonly PooledXattr[],
  metacopy: PooledXattr,
  redirect: PooledXattr | undefined,
): PooledXattr[] {
  if (redirect === undefined) return own.length === 0 ? [metacopy] : [...own, metacopy];
  if (own.length === 0) return [metacopy, redirect];
  if (own.length === 1) return [own[0]!, metacopy, redirect];
  const all = new Array<PooledXattr>(own.length + 2);
  for (let i = 0; i < own.length; i++) all[i] = own[i]!;
  all[own.length] = metacopy;
  all[own.length + 1] = redirect;
  return all;
}
