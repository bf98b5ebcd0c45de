/**
 * What mounting asks of the kernel, as one object: tests hand in one that refuses what an older kernel
 * would refuse, with its errno, and so walk every fallback on a new kernel.
 */

import { attachLoopDevice } from "../floor/loop.ts";
import {
  fsconfigCreate,
  fsconfigSetFd,
  fsconfigSetFlag,
  fsconfigSetString,
  fsmount,
  fsopen,
  mount,
  mountSetIdmap,
  moveMount,
} from "../floor/mount.ts";
import { measureVerity } from "../floor/verity.ts";

/** The calls, as the floor has them. */
export const KERNEL = {
  attachLoopDevice,
  fsconfigCreate,
  fsconfigSetFd,
  fsconfigSetFlag,
  fsconfigSetString,
  fsmount,
  fsopen,
  measureVerity,
  mount,
  mountSetIdmap,
  moveMount,
} as const;

/** A kernel to mount with. */
export type MountKernel = typeof KERNEL;
