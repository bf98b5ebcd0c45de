/**
 * Makes, reads, checks and mounts composefs images.
 *
 * @module
 */

export * from "./core/mod.ts";
export * from "./mount/mod.ts";
export * from "./sources/mod.ts";
export * from "./store/mod.ts";
