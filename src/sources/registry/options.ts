/** What can be asked of a registry source or target. */

import { systemClock } from "./http/clock.ts";
import type { Clock } from "./http/clock.ts";
import { RegistryClient } from "./client.ts";
import { Credentials } from "./auth/credentials.ts";
import { findCredentials } from "./auth/find-credentials.ts";
import { DEFAULT_LIMITS } from "./http/limits.ts";
import type { Limits } from "./http/limits.ts";
import type { Surroundings } from "./config/places.ts";
import { chooseProxy } from "./http/proxy.ts";
import { lookUpName } from "./config/registries.ts";
import type { Endpoint, Registries } from "./config/registries.ts";
import { tlsConnection } from "./http/tls.ts";

/** Everything has a default; without an environment no user's own files are looked at. */
export interface RegistryOptions {
  /** The environment of the process, for `HOME`, `REGISTRY_AUTH_FILE`, `HTTPS_PROXY` … */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Instead of `/etc`. */
  readonly etc?: string | undefined;
  /** Instead of all places where `registries.conf` may be; drop-ins are still read. */
  readonly registriesConf?: string | undefined;
  /** Instead of all files with credentials. */
  readonly authFile?: string | undefined;
  /** Instead of all credentials that could be found. Mirrors do not get them. */
  readonly credentials?: { readonly username: string; readonly password: string } | undefined;
  /** Authorities to trust besides the system's, PEM. */
  readonly ca?: string | undefined;
  /** A directory with certificates, instead of `certs.d`. */
  readonly certificates?: string | undefined;
  /** Whether any certificate, or none, will do; what `registries.conf` says unless told. */
  readonly insecure?: boolean | undefined;
  readonly limits?: Partial<Limits> | undefined;
  readonly clock?: Clock | undefined;
  /** Told of every try that failed and is made again. */
  readonly onRetry?: ((url: URL, reason: string) => void) | undefined;
}

/** Milliseconds for a program that keeps credentials: it may ask somebody for a password. */
const HELPER_LIMIT = 60_000;

/** Where the configuration for these options lies. */
export function surroundingsOf(options: RegistryOptions): Surroundings {
  return {
    environment: options.environment ?? {},
    uid: process.getuid?.() ?? 0,
    etc: options.etc,
  };
}

/** Makes the client for an endpoint. Nothing is sent, and no file of credentials read, before it asks. */
export function clientFor(
  endpoint: Endpoint,
  registries: Registries,
  options: RegistryOptions,
): RegistryClient {
  const surroundings = surroundingsOf(options);
  const isInsecure = options.insecure ?? endpoint.isInsecure;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { registry } = endpoint.reference;
  return new RegistryClient({
    registry,
    isInsecure,
    limits,
    clock: options.clock ?? systemClock,
    onRetry: options.onRetry,
    proxy: (url) => chooseProxy(url, surroundings.environment),
    tls: (host) => {
      // The directory has the name that people write.
      const name = registry === "docker.io" && host === "registry-1.docker.io" ? registry : host;
      return tlsConnection(name, surroundings, {
        ca: options.ca,
        certificates: options.certificates,
        isInsecure,
      });
    },
    credentials: async () => {
      if (options.credentials !== undefined && !endpoint.isMirror) {
        return new Credentials("credentials that were given", options.credentials);
      }
      return await findCredentials(lookUpName(endpoint.reference), surroundings, {
        authFile: options.authFile,
        helpers: registries.helpers,
        helperLimit: Math.min(HELPER_LIMIT, limits.metadata),
      });
    },
  });
}
