/**
 * Repositories: objects, and the images, streams and names that keep them; what is done with a repository
 * as a whole (garbage collection, checking, repair) and with its images (mounts, bundles).
 *
 * A `Repository` is open and holds a lock until it is closed. What changes it is a `Transaction`, of which
 * all or nothing happens.
 */

export * from "./bundle/mod.ts";
export * from "./content-index/mod.ts";
export * from "./fsck/mod.ts";
export * from "./gc/mod.ts";
export { initRepository } from "./init.ts";
export type { InitOptions, InitResult } from "./init.ts";
export type { Ref } from "./links.ts";
export type { ErofsFormats, Features, RepositoryMetadata } from "./metadata.ts";
export type { RefKind } from "./names.ts";
export { ObjectStaging } from "./objects/object-staging.ts";
export type { ObjectCount, StagingStats } from "./objects/object-staging.ts";
export type { OpenObject, FinishedObject } from "./objects/open-object.ts";
export type { ImportOptions, Imported } from "./objects/import-object.ts";
export type { ObjectsConfig, StagedObject, Verity } from "./objects/staged-object.ts";
export { openObject } from "./objects/read-object.ts";
export type { OpenedObject } from "./objects/read-object.ts";
export * from "./oci/mod.ts";
export type { OpenOptions } from "./open-repository.ts";
export { Repository } from "./repository.ts";
export type { OpenedImage, OpenedStream } from "./repository.ts";
export { countRepository } from "./status.ts";
export type { RepositoryCounts } from "./status.ts";
export type { Transaction } from "./transaction.ts";
