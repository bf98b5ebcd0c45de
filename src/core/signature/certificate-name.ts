/**
 * What a signature says of the certificate that it was made with: who issued it, and its number.
 *
 * Source: RFC 5280, section 4.1; RFC 5652, section 10.2.4. Nothing else of certificates is read here.
 */

import { formatHex } from "../bytes/hex.ts";
import { DER_TAG, DerReader, contextTag } from "./der.ts";

/** Issuer and serial number, elements of DER. */
export interface CertificateName {
  readonly issuer: Uint8Array;
  readonly serialNumber: Uint8Array;
}

/** Reads the name of a certificate from its DER. Throws `invalid-signature`. */
export function certificateNameOf(certificate: Uint8Array): CertificateName {
  const outer = new DerReader(certificate, "certificate");
  const toBeSigned = outer.enter(DER_TAG.sequence).enter(DER_TAG.sequence);
  outer.end();
  toBeSigned.readOptional(contextTag(0));
  const serialNumber = toBeSigned.read(DER_TAG.integer).whole;
  toBeSigned.read(DER_TAG.sequence);
  const issuer = toBeSigned.read(DER_TAG.sequence).whole;
  return { issuer, serialNumber };
}

/** Whether two names are the same, byte for byte. */
export function isSameCertificate(a: CertificateName, b: CertificateName): boolean {
  return (
    formatHex(a.serialNumber) === formatHex(b.serialNumber) &&
    formatHex(a.issuer) === formatHex(b.issuer)
  );
}
