/**
 * The canonical form of an image's tree: the same from layers and from a directory, so that both have
 * one digest.
 *
 * Source: composefs-rs 0.9, doc/oci.md and the functions transform_for_oci and transform_for_boot.
 * SELinux labels, which a bootable image gets after this, are the work of core/selinux.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { ComposefsError } from "../errors.ts";
import type { Directory, Node, Stat, Xattrs } from "../tree/node.ts";
import { relinkTree } from "./relink.ts";

/** Options of {@link canonicalizeRootfs}. */
export interface CanonicalOptions {
  /** Keep `user.` xattrs too; the digest is then another one. */
  readonly keepUserXattrs?: boolean;
}

/** What a file can do belongs to the image; all else is of the machine that built it. */
const KEPT_XATTR = "security.capability";

const USR = "usr" as ByteString;
const RUN = "run" as ByteString;
/** Of a bootable image these are mounts of their own. */
const EMPTIED_FOR_BOOT = ["boot", "sysroot"] as ByteString[];

/**
 * Returns the canonical form: `/` has the stat and xattrs of `/usr`, because layers seldom tell its own;
 * `/run`, a mount at run time, is empty and as old as `/usr`; of xattrs only `security.capability` stays.
 * Link counts are recounted. Throws `incomplete-rootfs` where `/usr` is no directory.
 */
export function canonicalizeRootfs(root: Directory, options: CanonicalOptions = {}): Directory {
  const usr = requireDirectory(root, USR);
  const entries = new Map(root.entries);
  const run = entries.get(RUN);
  if (run?.kind === "directory") {
    entries.set(RUN, emptied({ ...run.stat, mtime: usr.stat.mtime }));
  }
  const filter = xattrFilter(options.keepUserXattrs ?? false);
  return relinkTree({ kind: "directory", stat: usr.stat, entries }, (stat) => ({
    ...stat,
    xattrs: filter(stat.xattrs),
  }));
}

/**
 * Returns the form of a bootable image, from the canonical one: `/boot` and `/sysroot` are empty and
 * take the seconds, not the nanoseconds, of `/usr`. Throws `incomplete-rootfs` where one of the three
 * is no directory.
 */
export function canonicalizeBootableRootfs(root: Directory): Directory {
  const usr = requireDirectory(root, USR);
  const entries = new Map<ByteString, Node>(root.entries);
  for (const name of EMPTIED_FOR_BOOT) {
    const { stat } = requireDirectory(root, name);
    const mtime = { sec: usr.stat.mtime.sec, nsec: stat.mtime.nsec };
    entries.set(name, emptied({ ...stat, mtime }));
  }
  return relinkTree({ kind: "directory", stat: root.stat, entries });
}

/**
 * Returns the form of one layer by itself: xattrs as in the canonical form, everything else as the layer
 * has it, for no rule says what its root is. Our own definition, for lack of another.
 */
export function canonicalizeLayer(root: Directory): Directory {
  const filter = xattrFilter(false);
  return relinkTree(root, (stat) => ({ ...stat, xattrs: filter(stat.xattrs) }));
}

function requireDirectory(root: Directory, name: ByteString): Directory {
  const node = root.entries.get(name);
  if (node?.kind === "directory") return node;
  throw new ComposefsError(
    "incomplete-rootfs",
    `Cannot make the canonical tree of an image: "/${name}" is ${node === undefined ? "not there" : `a ${node.kind}`}`,
  );
}

function emptied(stat: Stat): Directory {
  return { kind: "directory", stat, entries: new Map() };
}

/** Filters xattrs, which are mostly shared between inodes or empty. */
function xattrFilter(keepsUser: boolean): (xattrs: Xattrs) => Xattrs {
  const isKept = (name: ByteString): boolean =>
    name === KEPT_XATTR || (keepsUser && name.startsWith("user."));
  return (xattrs) => {
    for (const name of xattrs.keys()) {
      if (!isKept(name)) return new Map([...xattrs].filter(([each]) => isKept(each)));
    }
    return xattrs;
  };
}
