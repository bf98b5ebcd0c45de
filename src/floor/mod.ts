/**
 * The one door to the kernel: typed system calls, errors with names, probes; no policy.
 */

export * from "./atomic-file.ts";
export * from "./byte-path.ts";
export * from "./errors.ts";
export * from "./file-source.ts";
export * from "./file-stat.ts";
export * from "./file.ts";
export * from "./lock.ts";
export * from "./loop.ts";
export * from "./mount-log.ts";
export * from "./mount.ts";
export * from "./names.ts";
export * from "./open-beneath.ts";
export * from "./private-directory.ts";
export * from "./read-directory.ts";
export * from "./record-lock.ts";
export * from "./temporary-file.ts";
export * from "./user-namespace.ts";
export * from "./verity.ts";
export * from "./xattr.ts";
export * from "./block-hash.ts";
export type * from "./zstd-stream.ts";
export * from "./zstd.ts";
