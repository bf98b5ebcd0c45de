/** Images in registries, over HTTP. */

export { openRegistrySource } from "./registry-source.ts";
export { openRegistryTarget } from "./registry-target.ts";
export type { RegistryTarget, RegistryTargetOptions } from "./registry-target.ts";
export type { RegistrySource } from "./registry-source.ts";
export type { RegistryOptions } from "./options.ts";
export type { Limits } from "./http/limits.ts";
export type { Clock } from "./http/clock.ts";
