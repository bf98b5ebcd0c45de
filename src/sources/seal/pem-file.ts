/**
 * Keys and certificates out of files.
 */

import { X509Certificate, createPrivateKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { ComposefsError } from "../../core/errors.ts";

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END [A-Z0-9 ]*CERTIFICATE-----/g;

/** Reads certificates, PEM or one in DER. `name` is for messages. Throws `invalid-config`. */
export function parseCertificates(bytes: Uint8Array, name: string): X509Certificate[] {
  const text = Buffer.from(bytes).toString("latin1");
  const blocks: (string | Uint8Array)[] = text.includes("-----BEGIN")
    ? [...text.matchAll(CERTIFICATE)].map(([block]) => block)
    : [bytes];
  if (blocks.length === 0) throw unusable("certificate", name, "it holds no certificate");
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw unusable("certificate", name, "it is neither PEM nor DER of a certificate", error);
    }
  });
}

/** Reads a private key without a passphrase: PEM of PKCS #8, PKCS #1 or SEC 1. Throws `invalid-config`. */
export function parsePrivateKey(bytes: Uint8Array, name: string): KeyObject {
  const text = Buffer.from(bytes).toString("latin1");
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw unusable("key", name, "it is encrypted", undefined, "decrypt it with `openssl pkey`");
  }
  try {
    return createPrivateKey({ key: text, format: "pem" });
  } catch (error) {
    throw unusable("key", name, "it is no private key in PEM", error);
  }
}

/** The error for files of the user that cannot be used. */
export function unusable(
  what: string,
  name: string,
  reason: string,
  cause?: unknown,
  hint?: string,
): ComposefsError {
  return new ComposefsError("invalid-config", `Cannot use ${what} "${name}": ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    ...(hint === undefined ? {} : { hint }),
  });
}
