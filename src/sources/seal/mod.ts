/** Seals: signing the digests of images, and checking what others have signed. */

export { Signer } from "./signer.ts";
export type { NamedFile } from "./signer.ts";
export { TrustedCertificates } from "./trust.ts";
export { repositoryCandidates } from "./candidates.ts";
export { SealDemand } from "./pull-sealed.ts";
export { sealImage } from "./seal-image.ts";
export type { SealedResult, SealOptions } from "./seal-image.ts";
export { sealedImageOf } from "./sealed-image.ts";
export type { SealedImage } from "./sealed-image.ts";
export { verifySeal } from "./verify-seal.ts";
export type { SealCandidate, VerifiedSeal, VerifyOptions } from "./verify-seal.ts";
