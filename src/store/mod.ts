/** Repositories: objects, and the images, streams and names that keep them. */

export { ContentIndex } from "./content-index/mod.ts";
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
