/** From the SHA-256 of a content to the object that has it. See `content-index.ts`. */

export { ContentIndex } from "./content-index.ts";
export { compactContentIndex, rebuildContentIndex } from "./replace.ts";
