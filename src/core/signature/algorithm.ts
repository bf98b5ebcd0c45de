/**
 * The algorithms of signatures, and their names in DER.
 *
 * Source: RFC 8017 (rsaEncryption), RFC 5758 (ecdsa-with-SHA2), RFC 5754 (SHA-2 in CMS). What the
 * kernel's PKCS#7 parser reads beside these (SHA-1, RSA-PSS) is not for new signatures.
 */

import { formatHex } from "../bytes/hex.ts";
import { encodeObjectIdentifier } from "./der.ts";

/** Hash functions of signatures. */
export type SignatureHash = "sha256" | "sha384" | "sha512";

/** Kinds of keys: RSA with PKCS #1 v1.5 padding, or ECDSA. */
export type SignatureKind = "rsa" | "ecdsa";

/** Content types of PKCS#7: RFC 2315, 14. */
export const OID_DATA = "1.2.840.113549.1.7.1";
export const OID_SIGNED_DATA = "1.2.840.113549.1.7.2";

const OID_OF_HASH: Readonly<Record<SignatureHash, string>> = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
};

const OID_OF_SIGNATURE: Readonly<Record<SignatureKind, Readonly<Record<SignatureHash, string>>>> = {
  // Named without its hash, which stands in the field before it.
  rsa: {
    sha256: "1.2.840.113549.1.1.1",
    sha384: "1.2.840.113549.1.1.1",
    sha512: "1.2.840.113549.1.1.1",
  },
  ecdsa: {
    sha256: "1.2.840.10045.4.3.2",
    sha384: "1.2.840.10045.4.3.3",
    sha512: "1.2.840.10045.4.3.4",
  },
};

/** `sha256WithRSAEncryption` and its like, which some tools write for RSA instead. */
const OID_OF_RSA_WITH: Readonly<Record<SignatureHash, string>> = {
  sha256: "1.2.840.113549.1.1.11",
  sha384: "1.2.840.113549.1.1.12",
  sha512: "1.2.840.113549.1.1.13",
};

const HASHES = ["sha256", "sha384", "sha512"] as const;
const KINDS = ["rsa", "ecdsa"] as const;

/** The object identifier of a hash function. */
export function oidOfHash(hash: SignatureHash): Uint8Array {
  return encodeObjectIdentifier(OID_OF_HASH[hash]);
}

/** The object identifier of a signature. */
export function oidOfSignature(kind: SignatureKind, hash: SignatureHash): Uint8Array {
  return encodeObjectIdentifier(OID_OF_SIGNATURE[kind][hash]);
}

/** The hash function of an object identifier, an element of DER. */
export function hashOfOid(oid: Uint8Array): SignatureHash | undefined {
  return HASHES.find((hash) => isOid(oid, OID_OF_HASH[hash]));
}

/** The kind of a signature made over `hash`, by its object identifier. */
export function kindOfOid(oid: Uint8Array, hash: SignatureHash): SignatureKind | undefined {
  if (isOid(oid, OID_OF_RSA_WITH[hash])) return "rsa";
  return KINDS.find((kind) => isOid(oid, OID_OF_SIGNATURE[kind][hash]));
}

/** Whether an element of DER is this object identifier. */
export function isOid(oid: Uint8Array, dotted: string): boolean {
  return formatHex(oid) === formatHex(encodeObjectIdentifier(dotted));
}
