/**
 * The one door to the kernel: typed system calls, errors with names, probes; no policy.
 */

export * from "./errors.ts";
export * from "./block-hash.ts";
