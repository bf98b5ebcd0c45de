/** Why there was no answer, or not all of one: what failed, in words, and whether to try again. */

import { ComposefsError } from "../../../core/errors.ts";

/**
 * - `unreachable`: the server cannot have seen the request;
 * - `cut`, `stalled`: it can have; the connection broke, or nothing came any more;
 * - `unknown`: there is no such host; `untrusted`: TLS says that this is not the server that was meant.
 *   Neither gets better by trying again.
 */
export type NetworkFailure = "unreachable" | "cut" | "stalled" | "unknown" | "untrusted";

/** `network-failed`, with the kind of failure. */
export class NetworkError extends ComposefsError {
  readonly failure: NetworkFailure;

  constructor(
    url: URL,
    reason: string,
    failure: NetworkFailure,
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super("network-failed", `Cannot talk to ${url.host}: ${reason}`, options);
    this.failure = failure;
  }
}

/** What Node's errors mean, for people. */
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "its name cannot be looked up now",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was cut",
  EPIPE: "the connection was cut",
  ETIMEDOUT: "no answer in time",
  EHOSTUNREACH: "there is no way to this host",
  ENETUNREACH: "there is no way to this network",
  EPROTO: "it does not speak TLS",
  HPE_INVALID_CONSTANT: "it does not speak HTTP",
};

const UNREACHABLE = new Set(["EAI_AGAIN", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"]);

/** Certificates that cannot be trusted, as OpenSSL and Node name it, and in words. */
const UNTRUSTED: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by itself",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by an authority that is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "its certificate is signed by an authority that is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate is signed by an authority that is not trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is signed by an authority that is not trusted here",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  CERT_REVOKED: "its certificate was revoked",
  CERT_UNTRUSTED: "its certificate is not trusted",
  CERT_REJECTED: "its certificate is not trusted",
  INVALID_CA: "its certificate is signed by what is no authority",
  INVALID_PURPOSE: "its certificate is not one for servers",
  HOSTNAME_MISMATCH: "its certificate is for another host",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
};

/** Makes a {@link NetworkError} of whatever Node threw; errors that are ours pass as they are. */
export function networkError(error: unknown, url: URL, isConnected: boolean): unknown {
  if (error instanceof ComposefsError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  const distrust = UNTRUSTED[code];
  if (distrust !== undefined) {
    return new NetworkError(url, distrust, "untrusted", { cause: error, hint: TLS_HINT });
  }
  if (code.startsWith("ERR_SSL_") && isAlert(error)) {
    const reason = "it refused the TLS connection; it may want a client certificate";
    return new NetworkError(url, reason, "untrusted", { cause: error, hint: TLS_HINT });
  }
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) {
    return new NetworkError(url, REASONS["EPROTO"]!, "untrusted", {
      cause: error,
      hint: "if that is as it should be, say `insecure = true` of it in registries.conf",
    });
  }
  const isNetwork =
    code in REASONS || code.startsWith("E") || code.startsWith("HPE_") || code === "";
  if (!isNetwork || error instanceof TypeError || error instanceof RangeError) return error;
  const reason = REASONS[code] ?? error.message;
  if (code === "ENOTFOUND") return new NetworkError(url, reason, "unknown", { cause: error });
  const failure = UNREACHABLE.has(code) && !isConnected ? "unreachable" : "cut";
  return new NetworkError(url, reason, failure, { cause: error });
}

/** A failure to reach any of several addresses says so in the first of them. */
function codeOf(error: Error): string {
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string") return code;
  if (error instanceof AggregateError && error.errors[0] instanceof Error) {
    return codeOf(error.errors[0]);
  }
  return "";
}

function isAlert(error: Error): boolean {
  return /alert|certificate required/i.test(error.message);
}

const TLS_HINT =
  "put the certificate of its authority into /etc/containers/certs.d/HOST:PORT/ca.crt, or ~/.config/containers/certs.d";
