/** Where trees come from. */

export * from "./directory/mod.ts";
