/** Garbage collection: what nothing needs any more goes. See `plan.ts`. */

export { collectGarbage } from "./collect.ts";
export type { CollectOptions } from "./collect.ts";
export { executeGc } from "./execute.ts";
export type { ExecuteGcOptions } from "./execute.ts";
export { findLiveMounts } from "./live-mounts.ts";
export type { ImageShape, LiveMounts } from "./live-mounts.ts";
export { planGc } from "./plan.ts";
export type { GcOptions, GcPlan } from "./plan.ts";
