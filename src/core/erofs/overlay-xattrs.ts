/**
 * What the xattrs of an image mean: where a file's data is, which files are whiteouts, and what is
 * left for users to see.
 *
 * The image is the lower layer of an overlay: `trusted.overlay.*` speaks to overlayfs and stays
 * hidden, and `trusted.overlay.overlay.*` is what users see as `trusted.overlay.*`.
 */

import { EMPTY } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { SourceReader } from "../bytes/reader.ts";
import { ImageError } from "../errors.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";
import { decodeMetacopy } from "../overlay/metacopy.ts";
import {
  OVERLAY_XATTR_ESCAPED_WHITEOUT,
  OVERLAY_XATTR_ESCAPED_WHITEOUTS,
  OVERLAY_XATTR_METACOPY,
  OVERLAY_XATTR_REDIRECT,
  OVERLAY_XATTR_USERXATTR_WHITEOUT,
  OVERLAY_XATTR_USERXATTR_WHITEOUTS,
  unescapeOverlayName,
} from "../overlay/names.ts";
import type { Xattrs } from "../tree/node.ts";
import { PATH_MAX } from "./format.ts";
import type { ErofsInode } from "./inode.ts";
import type { SuperBlock } from "./superblock.ts";
import {
  XattrNames,
  decodeXattr,
  inlineXattrsOffset,
  nextXattrOffset,
  sharedXattrIds,
  sharedXattrOffset,
} from "./xattr.ts";
import type { ErofsXattr } from "./xattr.ts";

/** The xattrs of an inode, understood. */
export interface OverlayView {
  /** What users see, inline ones first, then shared ones, each in the order of the image. */
  readonly xattrs: Xattrs;
  /** Of a regular file: the digest that its backing file must have, or "none", if it has a metacopy. */
  readonly metacopy: FsVerityDigest | "none" | undefined;
  /** Of a regular file: the path of its backing file, without the leading slash. */
  readonly redirect: ByteString | undefined;
  /** Whether this regular file stands for a whiteout. */
  readonly isEscapedWhiteout: boolean;
}

/** What a name means; `visible` is the name for users, if the xattr is for them. */
interface Meaning {
  readonly role: "metacopy" | "redirect" | "whiteout" | "plain";
  readonly visible: ByteString | undefined;
}

/** A shared xattr that has been read. */
interface SharedXattr {
  readonly xattr: ErofsXattr;
  readonly meaning: Meaning;
  readonly value: Uint8Array;
  /** What it says to overlayfs, once an inode has asked for that. */
  redirect: ByteString | undefined;
  metacopy: FsVerityDigest | "none" | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const SLASH = 0x2f;
const NO_XATTRS: Xattrs = new Map();
const NOTHING: OverlayView = {
  xattrs: NO_XATTRS,
  metacopy: undefined,
  redirect: undefined,
  isEscapedWhiteout: false,
};

const HIDDEN_NAMES: ReadonlySet<ByteString> = new Set([
  OVERLAY_XATTR_ESCAPED_WHITEOUTS,
  OVERLAY_XATTR_USERXATTR_WHITEOUT,
  OVERLAY_XATTR_USERXATTR_WHITEOUTS,
]);

/** Reads and understands xattrs; keeps the shared ones, and the sets that many inodes have alike. */
export class OverlayXattrReader {
  readonly #reader: SourceReader;
  readonly #superBlock: SuperBlock;
  readonly #names = new XattrNames();
  readonly #meanings = new Map<ByteString, Meaning>();
  readonly #shared = new Map<number, SharedXattr>();
  /** Bytes of all that is in `#shared`. */
  #sharedBytes = 0;
  /** By the ids of their shared xattrs, the sets that have no others. */
  readonly #sets = new Map<string, Xattrs>();

  constructor(reader: SourceReader, superBlock: SuperBlock) {
    this.#reader = reader;
    this.#superBlock = superBlock;
  }

  /** Understands the xattrs of an inode. Throws `corrupt-image`. */
  read(inode: ErofsInode): OverlayView {
    if (inode.xattrSize === 0) return NOTHING;
    const view: Mutable<OverlayView> = {
      xattrs: NO_XATTRS,
      metacopy: undefined,
      redirect: undefined,
      isEscapedWhiteout: false,
    };
    let own: Map<ByteString, Uint8Array> | undefined;
    for (let at = inlineXattrsOffset(this.#reader, inode); at < inode.tailOffset;) {
      const xattr = decodeXattr(this.#reader, at, inode.tailOffset, this.#names);
      at = nextXattrOffset(xattr);
      const meaning = this.#meaningOf(xattr.name);
      if (isForOverlay(meaning, inode)) {
        this.#note(view, meaning.role, xattr);
      } else if (meaning.visible !== undefined) {
        own ??= new Map();
        const value = this.#reader.copy(xattr.valueOffset, xattr.valueSize);
        add(own, meaning.visible, value, xattr);
      }
    }
    const kept: number[] = [];
    for (const id of sharedXattrIds(this.#reader, inode)) {
      const shared = this.#sharedXattr(id);
      const { xattr, meaning } = shared;
      if (isForOverlay(meaning, inode)) {
        this.#note(view, meaning.role, xattr, shared);
      } else if (meaning.visible !== undefined) {
        if (own === undefined) kept.push(id);
        else add(own, meaning.visible, shared.value, xattr);
      }
    }
    view.xattrs = own ?? this.#setOf(kept);
    return view;
  }

  /** Notes what overlayfs is told about a file; of a shared xattr it is decoded once. */
  #note(
    view: Mutable<OverlayView>,
    role: Meaning["role"],
    xattr: ErofsXattr,
    shared?: SharedXattr,
  ): void {
    if (role === "whiteout") {
      view.isEscapedWhiteout = true;
    } else if (role === "metacopy") {
      if (view.metacopy !== undefined) throw corrupt(xattr.offset, "a second metacopy xattr");
      view.metacopy = shared?.metacopy ?? this.#metacopy(xattr);
      if (shared !== undefined) shared.metacopy = view.metacopy;
    } else if (role === "redirect") {
      if (view.redirect !== undefined) throw corrupt(xattr.offset, "a second redirect xattr");
      view.redirect = shared?.redirect ?? this.#redirect(xattr);
      if (shared !== undefined) shared.redirect = view.redirect;
    }
  }

  #metacopy(xattr: ErofsXattr): FsVerityDigest | "none" {
    const metacopy = decodeMetacopy(this.#reader.view(xattr.valueOffset, xattr.valueSize));
    if (metacopy === undefined) throw corrupt(xattr.offset, "a malformed metacopy xattr");
    return metacopy;
  }

  #redirect(xattr: ErofsXattr): ByteString {
    const { valueOffset, valueSize } = xattr;
    const skipped = valueSize > 1 && this.#reader.u8(valueOffset) === SLASH ? 1 : 0;
    const path = this.#reader.text(valueOffset + skipped, valueSize - skipped);
    if (path === EMPTY || path.length >= PATH_MAX || path.includes("\0")) {
      throw corrupt(xattr.offset, "a redirect that is no path");
    }
    return path;
  }

  #meaningOf(name: ByteString): Meaning {
    let meaning = this.#meanings.get(name);
    if (meaning === undefined) {
      meaning = meaningOf(name);
      this.#meanings.set(name, meaning);
    }
    return meaning;
  }

  #sharedXattr(id: number): SharedXattr {
    const known = this.#shared.get(id);
    if (known !== undefined) return known;
    const reader = this.#reader;
    const at = sharedXattrOffset(this.#superBlock, id);
    const xattr = decodeXattr(reader, at, reader.size, this.#names);
    // Entries do not overlap in an image that is sound, so all of them are not larger than it.
    this.#sharedBytes += xattr.valueOffset + xattr.valueSize - xattr.offset;
    if (this.#sharedBytes > reader.size) throw corrupt(xattr.offset, "shared xattrs overlap");
    const value = reader.copy(xattr.valueOffset, xattr.valueSize);
    const meaning = this.#meaningOf(xattr.name);
    const shared = { xattr, meaning, value, redirect: undefined, metacopy: undefined };
    this.#shared.set(id, shared);
    return shared;
  }

  #setOf(ids: readonly number[]): Xattrs {
    if (ids.length === 0) return NO_XATTRS;
    const key = ids.join();
    let set = this.#sets.get(key);
    if (set === undefined) {
      const made = new Map<ByteString, Uint8Array>();
      for (const id of ids) {
        const { xattr, meaning, value } = this.#sharedXattr(id);
        add(made, meaning.visible!, value, xattr);
      }
      this.#sets.set(key, made);
      set = made;
    }
    return set;
  }
}

/** Whether an xattr speaks to overlayfs: only of regular files do we have to know what it says. */
function isForOverlay(meaning: Meaning, inode: ErofsInode): boolean {
  return meaning.role !== "plain" && inode.kind === "file";
}

function meaningOf(name: ByteString): Meaning {
  if (name === OVERLAY_XATTR_METACOPY) return { role: "metacopy", visible: undefined };
  if (name === OVERLAY_XATTR_REDIRECT) return { role: "redirect", visible: undefined };
  if (HIDDEN_NAMES.has(name)) return { role: "plain", visible: undefined };
  const visible = unescapeOverlayName(name);
  return { role: name === OVERLAY_XATTR_ESCAPED_WHITEOUT ? "whiteout" : "plain", visible };
}

function add(
  xattrs: Map<ByteString, Uint8Array>,
  name: ByteString,
  value: Uint8Array,
  xattr: ErofsXattr,
): void {
  if (xattrs.has(name)) throw corrupt(xattr.offset, "an xattr that the inode has twice");
  xattrs.set(name, value);
}

function corrupt(offset: number, reason: string): ImageError {
  return new ImageError("corrupt-image", offset, reason);
}
