/** Using the images of a repository: mounts and OCI runtime bundles. */

export { makeBundle, removeBundle } from "./bundle.ts";
export type { BundleRequest } from "./bundle.ts";
export { withImageFiles } from "./image-files.ts";
export { describeRepositoryMount, mountRepositoryImage } from "./mount-repository-image.ts";
export type { RepositoryMountOptions } from "./mount-repository-image.ts";
