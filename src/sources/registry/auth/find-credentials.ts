/** The credentials for a repository: out of files and helpers, in the order that podman looks. */

import { askHelper } from "./credential-helper.ts";
import { lookUp, readAuthFile, registryOf } from "./auth-file.ts";
import type { Credentials } from "./credentials.ts";
import { authFiles } from "../config/places.ts";
import type { Surroundings } from "../config/places.ts";
import { AUTH_FILES_HELPER } from "../config/registries-file.ts";

/** What to look with. */
export interface FindCredentialsOptions {
  /** This file alone. */
  readonly authFile?: string | undefined;
  /** `credential-helpers` of registries.conf, in order. */
  readonly helpers: readonly string[];
  /** Milliseconds for one helper. */
  readonly helperLimit: number;
  readonly signal?: AbortSignal | undefined;
}

/** Docker's helpers know its registry by this. */
const DOCKER_SERVER = "https://index.docker.io/v1/";

/** Finds the credentials for `registry/name`; `undefined` where there are none. Throws `invalid-config`. */
export async function findCredentials(
  name: string,
  surroundings: Surroundings,
  options: FindCredentialsOptions,
): Promise<Credentials | undefined> {
  const registry = registryOf(name);
  const ask = async (helper: string, server: string): Promise<Credentials | undefined> =>
    await askHelper(helper, server, {
      environment: surroundings.environment,
      limit: options.helperLimit,
      signal: options.signal,
    });
  for (const helper of options.helpers) {
    if (helper !== AUTH_FILES_HELPER) {
      const found = await ask(helper, registry);
      if (found !== undefined) return found;
      continue;
    }
    for (const place of authFiles(surroundings, options.authFile)) {
      const file = readAuthFile(place);
      if (file === undefined) continue;
      const answer = lookUp(file, name);
      if (answer.kind === "credentials") return answer.credentials;
      if (answer.kind === "nothing") continue;
      const isDocker = answer.isFallback && registry === "docker.io";
      const found = await ask(answer.helper, isDocker ? DOCKER_SERVER : registry);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
