/**
 * Mounting composefs images: an EROFS mount of the image below an overlay that finds the data.
 *
 * `planMount` says what would be done, as steps; `executeMount` does it, and leaves nothing behind where
 * that fails; `mountComposefs` is both. Needs root, or CAP_SYS_ADMIN in the mount namespace.
 */

export { executeMount, mountComposefs } from "./execute.ts";
export { KERNEL } from "./kernel.ts";
export type { MountKernel } from "./kernel.ts";
export { MountError } from "./mount-error.ts";
export { MountOptionsError, parseMountOptions } from "./options.ts";
export type { MountOptions, VerityMode } from "./options.ts";
export { describeStep, planMount } from "./plan.ts";
export type { MountPlan, MountRequest, MountStep, OverlayStep } from "./plan.ts";
export { unmount } from "./unmount.ts";
export type { UnmountOptions } from "./unmount.ts";
