/**
 * Makes signatures with a key and the certificate that belongs to it.
 */

import { sign } from "node:crypto";
import type { KeyObject, X509Certificate } from "node:crypto";
import { encodePkcs7, certificateNameOf } from "../../core/signature/mod.ts";
import type { CertificateName, SignatureHash, SignatureKind } from "../../core/signature/mod.ts";
import { parseCertificates, parsePrivateKey, unusable } from "./pem-file.ts";

/** A file's content and its name. */
export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A key with its certificate. */
export class Signer {
  readonly #key: KeyObject;
  readonly #kind: SignatureKind;
  readonly #name: CertificateName;

  /** Of several certificates the first counts, as for `fsverity sign`. Throws `invalid-config`. */
  constructor(key: NamedFile, certificate: NamedFile) {
    this.#key = parsePrivateKey(key.bytes, key.name);
    const kind = kindOfKey(this.#key);
    if (kind === undefined) {
      throw unusable(
        "key",
        key.name,
        `the kernel has no ${this.#key.asymmetricKeyType} signatures`,
      );
    }
    this.#kind = kind;
    const parsed = parseCertificates(certificate.bytes, certificate.name)[0]!;
    if (!belongs(parsed, this.#key)) {
      throw unusable("certificate", certificate.name, `the key "${key.name}" is not its own`);
    }
    this.#name = certificateNameOf(parsed.raw);
  }

  /** Signs bytes: a detached PKCS#7 signature, DER, as the kernel takes it for fs-verity. */
  sign(bytes: Uint8Array, hash: SignatureHash): Uint8Array {
    return encodePkcs7({
      signer: this.#name,
      hash,
      kind: this.#kind,
      signature: sign(hash, bytes, this.#key),
      untrustedCertificates: [],
    });
  }
}

/** The signatures that a key makes; `undefined` for what the kernel does not verify. */
export function kindOfKey({ asymmetricKeyType }: KeyObject): SignatureKind | undefined {
  switch (asymmetricKeyType) {
    case "rsa":
      return "rsa";
    case "ec":
      return "ecdsa";
    default:
      return undefined;
  }
}

function belongs(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    // Of another kind.
    return false;
  }
}
