/**
 * Whom to trust, and how to show who we are: the system's authorities, those of `certs.d`, and what
 * the caller adds.
 *
 * Source: containers-certs.d(5). `*.crt` are authorities, `NAME.cert` with `NAME.key` a client.
 */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, rootCertificates } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { ComposefsError } from "../../../core/errors.ts";
import { certificateDirectories } from "../config/places.ts";
import type { Surroundings } from "../config/places.ts";

/** What a caller says about TLS. */
export interface TlsOptions {
  /** Authorities to trust besides the others, PEM. */
  readonly ca?: string | undefined;
  /** A directory with certificates for every host, instead of `certs.d`. */
  readonly certificates?: string | undefined;
  /** Any certificate will do. */
  readonly isInsecure: boolean;
}

/** Where distributions keep the authorities that they trust. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Makes what Node wants for connections to a host. Throws `invalid-config`. */
export function tlsConnection(
  host: string,
  surroundings: Surroundings,
  options: TlsOptions,
): ConnectionOptions {
  const found = hostCertificates(host, surroundings, options);
  const authorities = [...found.authorities, ...(options.ca === undefined ? [] : [options.ca])];
  try {
    const secureContext = createSecureContext({
      minVersion: "TLSv1.2",
      // To read 140 certificates takes 20 ms, and where any one will do nobody asks them.
      ca: [...(options.isInsecure ? [] : systemAuthorities(surroundings)), ...authorities],
      ...(found.client === undefined
        ? {}
        : { cert: found.client.certificate, key: found.client.key }),
    });
    return { secureContext, rejectUnauthorized: !options.isInsecure };
  } catch (cause) {
    throw new ComposefsError(
      "invalid-config",
      `Cannot use the certificates for ${host}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

interface HostCertificates {
  readonly authorities: readonly string[];
  readonly client?: { readonly certificate: string; readonly key: string };
}

function hostCertificates(
  host: string,
  surroundings: Surroundings,
  options: TlsOptions,
): HostCertificates {
  const candidates =
    options.certificates === undefined
      ? certificateDirectories(surroundings, host)
      : [options.certificates];
  for (const directory of candidates) {
    const names = namesIn(directory);
    if (names !== undefined) return readCertificates(directory, names);
  }
  return { authorities: [] };
}

function readCertificates(directory: string, names: readonly string[]): HostCertificates {
  const read = (name: string): string => readText(join(directory, name));
  const authorities = names.filter((name) => name.endsWith(".crt")).map(read);
  const certificate = names.find((name) => name.endsWith(".cert"));
  if (certificate === undefined) return { authorities };
  const key = certificate.replace(/\.cert$/, ".key");
  if (!names.includes(key)) {
    throw new ComposefsError(
      "invalid-config",
      `Cannot use the certificate "${join(directory, certificate)}": there is no "${key}" beside it`,
    );
  }
  return { authorities, client: { certificate: read(certificate), key: read(key) } };
}

/** In the order of their names; `undefined` where there is no directory that can be read. */
function namesIn(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return undefined;
    throw unreadable(directory, error);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): ComposefsError {
  return new ComposefsError(
    "invalid-config",
    `Cannot read "${path}": ${(cause as Error).message}`,
    { cause },
  );
}

/** Node's own where the system has none; `SSL_CERT_FILE` names others, as for OpenSSL and Go. */
function systemAuthorities(surroundings: Surroundings): readonly string[] {
  const told = surroundings.environment["SSL_CERT_FILE"];
  if (told !== undefined && told !== "") return [readText(told)];
  for (const path of SYSTEM_BUNDLES) {
    try {
      return [readFileSync(path, "utf8")];
    } catch {
      // The next one.
    }
  }
  return rootCertificates;
}
