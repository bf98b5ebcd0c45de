/**
 * The three layouts of a composefs image, as a record of what differs.
 *
 * V0 and V1 are what C `mkcomposefs` writes; V2 is the older layout of composefs-rs. The number is
 * the `composefs_version` field of the header.
 */

import type { ValidatedTree } from "../tree/validate.ts";

/** `composefs_version` of the header. */
export type FormatVersion = 0 | 1 | 2;

/** What one version does and another does not. */
export interface FormatTraits {
  /** Inodes are numbered and laid out breadth first, else depth first. */
  readonly breadthFirst: boolean;
  /** 32-byte inodes where everything fits; times equal to `build_time` are then left out. */
  readonly compactInodes: boolean;
  /** Nanoseconds are stored. */
  readonly nanoseconds: boolean;
  /** 256 whiteouts `00` to `ff` in the root hide the object directories of a basedir; the root is opaque. */
  readonly whiteoutStubs: boolean;
  /** Whiteouts of the tree are stored as empty files with overlay xattrs that say so. */
  readonly escapesWhiteouts: boolean;
  /** A directory with whiteouts also gets `overlay.opaque=x`. */
  readonly marksWhiteoutDirectories: boolean;
  /** `lustre.` has an xattr name index of its own. */
  readonly lustrePrefix: boolean;
}

const EPOCH1 = {
  breadthFirst: true,
  compactInodes: true,
  nanoseconds: true,
  whiteoutStubs: true,
  escapesWhiteouts: true,
  lustrePrefix: false,
} as const;

/** The traits of each version. */
export const FORMAT_TRAITS: Readonly<Record<FormatVersion, FormatTraits>> = {
  0: { ...EPOCH1, marksWhiteoutDirectories: false },
  1: { ...EPOCH1, marksWhiteoutDirectories: true },
  2: {
    breadthFirst: false,
    compactInodes: false,
    nanoseconds: false,
    whiteoutStubs: false,
    escapesWhiteouts: false,
    marksWhiteoutDirectories: false,
    lustrePrefix: true,
  },
};

/** What C `mkcomposefs` uses unless told: the lowest and the highest version it may choose. */
export const DEFAULT_MIN_VERSION = 0;
export const DEFAULT_MAX_VERSION = 1;

/**
 * Chooses between V0 and V1 as C `mkcomposefs` does: the lowest allowed, but V1 for a tree with
 * whiteouts where `maxVersion` allows it. A `maxVersion` below `minVersion` counts as equal to it.
 */
export function chooseFormatVersion(
  tree: ValidatedTree,
  range: { readonly minVersion: 0 | 1; readonly maxVersion: 0 | 1 },
): 0 | 1 {
  return tree.hasWhiteouts && range.maxVersion === 1 ? 1 : range.minVersion;
}
