/** Repairing repositories from where their images came from. */

export { ImageFetcher } from "./image-fetcher.ts";
