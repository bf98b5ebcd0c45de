/** Keys and certificates that a command line names. */

import { readFileSync } from "node:fs";
import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { TrustedCertificates } from "../../sources/mod.ts";
import type { NamedFile } from "../../sources/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import { reasonOf } from "../output/reason.ts";
import type { OptionSpec } from "../command-line/spec.ts";

/** Whom to trust. */
export const TRUST_OPTION: OptionSpec = {
  name: "trust",
  value: { label: "CERT", kind: "file" },
  repeatable: true,
  brief: "Trust the signatures of this certificate, and of those it has issued; may be repeated",
  details:
    "PEM or DER. As in the kernel, nobody looks at the dates of certificates. One that has issued another, which then has to come with the signature, must be a CA.",
};

/** Larger files are no keys. */
const SIZE_MAX = 1 << 20;

/** Reads a file. Throws `invalid-config`. */
export function readNamedFile(path: ByteString): NamedFile {
  const name = displayText(path);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(Buffer.from(path, "latin1"));
  } catch (error) {
    throw new ComposefsError("invalid-config", `Cannot read "${name}": ${reasonOf(error)}`, {
      cause: error,
    });
  }
  if (bytes.length <= SIZE_MAX) return { name, bytes };
  throw new ComposefsError("invalid-config", `Cannot use "${name}": larger than 1 MiB`);
}

/** The certificates of `--trust`; `undefined` when there is none. */
export function readTrust(invocation: Invocation): TrustedCertificates | undefined {
  const files = invocation.values("trust").map(readNamedFile);
  return files.length === 0 ? undefined : new TrustedCertificates(files);
}
