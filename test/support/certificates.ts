/** Keys and certificates that openssl makes for a test. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";
import { tempDir } from "./temp.ts";

/** A certificate and its key, files. */
export interface Identity {
  readonly key: string;
  readonly certificate: string;
}

/** What openssl is to make. */
export interface IdentityOptions {
  /** Arguments of `openssl genpkey`. */
  readonly algorithm?: readonly string[];
  /** Who issues it; itself unless told. */
  readonly issuer?: Identity;
  readonly isCa?: boolean;
  /** Hosts that it is for: `IP:127.0.0.1`, `DNS:registry.test`. */
  readonly hosts?: readonly string[];
  /** Days that it is valid; negative when it has expired. */
  readonly days?: number;
}

export const RSA = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
export const ecdsa = (curve: string): readonly string[] => [
  ...["-algorithm", "EC", "-pkeyopt", `ec_paramgen_curve:${curve}`],
];

/** Runs openssl and throws what it complains about. */
export function openssl(...args: readonly string[]): Buffer {
  const done = run("openssl", args);
  if (done.status !== 0) throw new Error(`openssl ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

/** Makes a key and a certificate, each identity of another name and number. */
export function makeIdentity(options: IdentityOptions = {}): Identity {
  const { algorithm = RSA, issuer, isCa = false, hosts = [], days = 30 } = options;
  const directory = tempDir();
  const path = (name: string): string => join(directory, name);
  const identity = { key: path("key.pem"), certificate: path("certificate.pem") };
  openssl("genpkey", ...algorithm, "-out", identity.key);
  const subject = `/CN=${directory.split("/").at(-1)}`;
  openssl("req", "-new", "-key", identity.key, "-subj", subject, "-out", path("request.pem"));
  writeFileSync(
    path("extensions"),
    isCa
      ? "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"
      : `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n${hosts.length === 0 ? "" : `subjectAltName=${hosts.join(",")}\n`}`,
  );
  const signedBy =
    issuer === undefined
      ? ["-signkey", identity.key]
      : ["-CA", issuer.certificate, "-CAkey", issuer.key, "-CAcreateserial"];
  openssl(
    ...["x509", "-req", "-in", path("request.pem"), "-days", String(days)],
    ...["-extfile", path("extensions"), "-out", identity.certificate, ...signedBy],
  );
  return identity;
}

/** A file as those who sign and check take it. */
export function named(name: string): { name: string; bytes: Buffer } {
  return { name, bytes: readFileSync(name) };
}
