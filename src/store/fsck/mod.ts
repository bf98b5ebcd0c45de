/** Checking and repairing repositories. See `check-repository.ts` and `repair.ts`. */

export { checkRepository } from "./check-repository.ts";
export type { FsckOptions } from "./check-repository.ts";
export type { RepairedObject } from "./damaged-objects.ts";
export type { Finding, FsckReport, HurtImage } from "./finding.ts";
export type { ObjectFetcher, TaggedImage } from "./object-fetcher.ts";
export { repairRepository } from "./repair.ts";
export type { RepairOptions, RepairReport } from "./repair.ts";
export type { GoodContent } from "./replace-object.ts";
