/**
 * Detached PKCS#7 signatures in the form that the kernel takes for fs-verity: one signer, no
 * authenticated attributes.
 *
 *     ContentInfo { signedData, [0] SignedData {
 *       version 1, digestAlgorithms, encapContentInfo { data }, [0] certificates OPTIONAL,
 *       SET OF SignerInfo { version 1, issuerAndSerialNumber, digestAlgorithm, signatureAlgorithm, signature } } }
 *
 * Source: RFC 2315, sections 9 and 10, which RFC 5652 keeps; Documentation/filesystems/fsverity.rst,
 * "Built-in signature verification"; `fsverity sign` of fsverity-utils 1.5, which writes the same bytes.
 */

import type { ComposefsError } from "../errors.ts";
import {
  OID_DATA,
  OID_SIGNED_DATA,
  hashOfOid,
  isOid,
  kindOfOid,
  oidOfHash,
  oidOfSignature,
} from "./algorithm.ts";
import type { SignatureHash, SignatureKind } from "./algorithm.ts";
import type { CertificateName } from "./certificate-name.ts";
import { DER_TAG, DerReader, contextTag, encodeDer, encodeObjectIdentifier } from "./der.ts";

/** A signature and what is needed to check it. */
export interface Pkcs7Signature {
  readonly signer: CertificateName;
  readonly hash: SignatureHash;
  readonly kind: SignatureKind;
  /** As the key made it: of RSA as long as the key, of ECDSA a DER sequence of two numbers. */
  readonly signature: Uint8Array;
  /** Certificates that come with it, DER; nobody has checked them. */
  readonly untrustedCertificates: readonly Uint8Array[];
}

/** `FS_VERITY_MAX_SIGNATURE_SIZE` of fs/verity. */
const FS_VERITY_MAX_SIGNATURE_SIZE = 16128;
/** A chain longer than this is no chain. */
const CERTIFICATES_MAX = 16;

const VERSION_1 = encodeDer(DER_TAG.integer, Uint8Array.of(1));
const NULL = encodeDer(DER_TAG.null);

/** Writes a signature without certificates, in DER. */
export function encodePkcs7({ signer, hash, kind, signature }: Pkcs7Signature): Uint8Array {
  const { sequence, set, octetString } = DER_TAG;
  const digestAlgorithm = encodeDer(sequence, oidOfHash(hash), NULL);
  // Of ECDSA the parameters are absent, not NULL (RFC 5758).
  const signatureAlgorithm = encodeDer(
    sequence,
    oidOfSignature(kind, hash),
    ...(kind === "rsa" ? [NULL] : []),
  );
  const signerInfo = encodeDer(
    sequence,
    VERSION_1,
    encodeDer(sequence, signer.issuer, signer.serialNumber),
    digestAlgorithm,
    signatureAlgorithm,
    encodeDer(octetString, signature),
  );
  const signedData = encodeDer(
    sequence,
    VERSION_1,
    encodeDer(set, digestAlgorithm),
    encodeDer(sequence, encodeObjectIdentifier(OID_DATA)),
    encodeDer(set, signerInfo),
  );
  return encodeDer(
    sequence,
    encodeObjectIdentifier(OID_SIGNED_DATA),
    encodeDer(contextTag(0), signedData),
  );
}

/**
 * Reads a signature. Throws `invalid-signature` for what is none, and for what the kernel's use of it has
 * not: content inside, several signers, authenticated attributes.
 */
export function decodePkcs7(der: Uint8Array): Pkcs7Signature {
  const outer = new DerReader(der, "PKCS#7 signature");
  if (der.length > FS_VERITY_MAX_SIGNATURE_SIZE) {
    throw outer.invalid(`is larger than ${FS_VERITY_MAX_SIGNATURE_SIZE} bytes`);
  }
  const contentInfo = outer.enter(DER_TAG.sequence);
  outer.end();
  if (!isOid(contentInfo.read(DER_TAG.objectIdentifier).whole, OID_SIGNED_DATA)) {
    throw outer.invalid("is no signed data");
  }
  const tagged = contentInfo.enter(contextTag(0));
  contentInfo.end();
  const signedData = tagged.enter(DER_TAG.sequence);
  tagged.end();
  readVersion(signedData);
  signedData.read(DER_TAG.set);
  const content = signedData.enter(DER_TAG.sequence);
  if (!isOid(content.read(DER_TAG.objectIdentifier).whole, OID_DATA)) {
    throw outer.invalid("signs something else than plain data");
  }
  if (!content.isAtEnd) throw outer.invalid("is not detached: the content is inside");
  const untrustedCertificates = readCertificates(signedData);
  // Revocation lists, which nobody looks at.
  signedData.readOptional(contextTag(1));
  const signerInfos = signedData.enter(DER_TAG.set);
  signedData.end();
  const signerInfo = signerInfos.enter(DER_TAG.sequence);
  if (!signerInfos.isAtEnd) throw outer.invalid("has more than one signer");
  return { ...readSignerInfo(signerInfo), untrustedCertificates };
}

function readVersion(reader: DerReader): void {
  const { content } = reader.read(DER_TAG.integer);
  if (content.length !== 1 || content[0] !== 1) throw reader.invalid("is not of version 1");
}

function readCertificates(signedData: DerReader): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  if (signedData.nextTag !== contextTag(0)) return certificates;
  const reader = signedData.enter(contextTag(0));
  while (!reader.isAtEnd) {
    certificates.push(reader.read(DER_TAG.sequence).whole);
    if (certificates.length > CERTIFICATES_MAX) {
      throw reader.invalid(`has more than ${CERTIFICATES_MAX} certificates`);
    }
  }
  return certificates;
}

function readSignerInfo(reader: DerReader): Omit<Pkcs7Signature, "untrustedCertificates"> {
  readVersion(reader);
  const name = reader.enter(DER_TAG.sequence);
  const issuer = name.read(DER_TAG.sequence).whole;
  const serialNumber = name.read(DER_TAG.integer).whole;
  name.end();
  const hash = hashOfOid(readAlgorithm(reader));
  if (hash === undefined) throw unsupported(reader, "hash function");
  if (reader.nextTag === contextTag(0)) {
    throw reader.invalid(
      "has authenticated attributes, which do not belong to fs-verity signatures",
    );
  }
  const kind = kindOfOid(readAlgorithm(reader), hash);
  if (kind === undefined) throw unsupported(reader, "signature algorithm");
  const signature = reader.read(DER_TAG.octetString).content;
  // Attributes that are not signed say nothing.
  reader.readOptional(contextTag(1));
  reader.end();
  return { signer: { issuer, serialNumber }, hash, kind, signature };
}

/** The object identifier of an algorithm; its parameters are NULL or absent. */
function readAlgorithm(reader: DerReader): Uint8Array {
  const algorithm = reader.enter(DER_TAG.sequence);
  const { whole } = algorithm.read(DER_TAG.objectIdentifier);
  const parameters = algorithm.readOptional(DER_TAG.null);
  if ((parameters?.content.length ?? 0) > 0 || !algorithm.isAtEnd) {
    throw unsupported(reader, "parameter of an algorithm");
  }
  return whole;
}

function unsupported(reader: DerReader, what: string): ComposefsError {
  return reader.invalid(`has a ${what} that is not supported`);
}
