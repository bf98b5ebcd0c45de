/** Signatures over fs-verity digests: the format alone. Keys, and what they sign, are others' work. */

export type { SignatureHash, SignatureKind } from "./algorithm.ts";
export { certificateNameOf, isSameCertificate } from "./certificate-name.ts";
export type { CertificateName } from "./certificate-name.ts";
export { decodePkcs7, encodePkcs7 } from "./pkcs7.ts";
export type { Pkcs7Signature } from "./pkcs7.ts";
