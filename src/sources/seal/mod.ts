/** Seals: signing the digests of images, and checking what others have signed. */

export { Signer } from "./signer.ts";
export type { NamedFile } from "./signer.ts";
export { TrustedCertificates } from "./trust.ts";
