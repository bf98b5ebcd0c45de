/**
 * Checks signatures against certificates that the user trusts.
 *
 * As the kernel does with the certificates of its `.fs-verity` keyring (crypto/asymmetric_keys,
 * pkcs7_trust.c): a signature by a trusted certificate counts, whatever that may be used for, and so does one
 * by a certificate that comes with the signature and is issued, over any number of steps, by a trusted
 * one. Stricter than the kernel, who issues must be a CA. As in the kernel, nobody looks at the time:
 * a certificate that has expired still says who signed.
 */

import { X509Certificate, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { ComposefsError } from "../../core/errors.ts";
import { certificateNameOf, decodePkcs7, isSameCertificate } from "../../core/signature/mod.ts";
import type { Pkcs7Signature } from "../../core/signature/mod.ts";
import { parseCertificates, unusable } from "./pem-file.ts";
import { kindOfKey } from "./signer.ts";
import type { NamedFile } from "./signer.ts";

/** Certificates that the user trusts. */
export class TrustedCertificates {
  readonly #certificates: readonly X509Certificate[];

  /** Throws `invalid-config` for a file without a certificate. */
  constructor(files: readonly NamedFile[]) {
    this.#certificates = files.flatMap(({ bytes, name }) => parseCertificates(bytes, name));
    for (const { raw } of this.#certificates) {
      try {
        certificateNameOf(raw);
      } catch (error) {
        throw unusable("certificate", files[0]!.name, "it is not DER", error);
      }
    }
  }

  /** Throws `invalid-signature` unless `pkcs7` is a signature over `bytes` by somebody trusted. */
  check(pkcs7: Uint8Array, bytes: Uint8Array): void {
    const signature = decodePkcs7(pkcs7);
    const isSigner = ({ raw }: X509Certificate): boolean =>
      isSameCertificate(certificateNameOf(raw), signature.signer);
    const trusted = this.#certificates.filter(isSigner);
    const carried = signature.untrustedCertificates.map(openCarried);
    const others = carried.filter((one) => isSigner(one) && this.#isIssued(one, carried));
    const signers = [...trusted, ...others];
    if (signers.length === 0) {
      throw refused(
        "it is by a certificate that is not trusted, and that no trusted one has issued",
      );
    }
    if (!signers.some(({ publicKey }) => isSignatureOf(signature, bytes, publicKey))) {
      throw refused("it does not belong to what it is said to sign");
    }
  }

  /** Whether a chain of CA certificates leads from a trusted one to this. */
  #isIssued(certificate: X509Certificate, carried: readonly X509Certificate[]): boolean {
    let at = certificate;
    const left = new Set(carried);
    for (;;) {
      if (this.#certificates.some((issuer) => hasIssued(issuer, at))) return true;
      left.delete(at);
      const next = [...left].find((issuer) => hasIssued(issuer, at));
      if (next === undefined) return false;
      at = next;
    }
  }
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    // A key that cannot be used, or a signature of another kind.
    return false;
  }
}

function isSignatureOf(
  { hash, kind, signature }: Pkcs7Signature,
  bytes: Uint8Array,
  key: KeyObject,
): boolean {
  if (kindOfKey(key) !== kind) return false;
  try {
    return verify(hash, bytes, key, signature);
  } catch {
    return false;
  }
}

function openCarried(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw refused("a certificate that it carries cannot be read", error);
  }
}

function refused(reason: string, cause?: unknown): ComposefsError {
  return new ComposefsError(
    "invalid-signature",
    `Cannot accept signature: ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
