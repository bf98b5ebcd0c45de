/**
 * Where configuration lies: the user's files and the system's, as podman and Docker have them.
 *
 * Source: containers-registries.conf(5), containers-auth.json(5), containers-certs.d(5). Nothing here
 * asks for the environment: the caller hands it in.
 */

import { join } from "node:path";

/** What of the process decides where configuration lies. */
export interface Surroundings {
  /** `HOME`, `XDG_CONFIG_HOME`, `XDG_RUNTIME_DIR`, `REGISTRY_AUTH_FILE`, `DOCKER_CONFIG`, `PATH` … */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The user's number, for `/run/containers/UID`. */
  readonly uid: number;
  /** Instead of `/etc`; for tests, and for looking at another root. */
  readonly etc?: string | undefined;
}

/** Where one finds who may do what, in the order of looking. */
export interface AuthFilePlace {
  readonly path: string;
  /** `~/.dockercfg`: no `auths` around the entries. */
  readonly isLegacy: boolean;
  /** Named by the caller or by `REGISTRY_AUTH_FILE`: it has to be there. */
  readonly isRequired: boolean;
}

/** `registries.conf`, and the directories of its drop-ins in the order of reading. */
export interface RegistriesPlaces {
  readonly file: string;
  /** Named by the caller or by `CONTAINERS_REGISTRIES_CONF`: it has to be there. */
  readonly isRequired: boolean;
  readonly directories: readonly string[];
}

function set(surroundings: Surroundings, name: string): string | undefined {
  const value = surroundings.environment[name];
  return value === "" ? undefined : value;
}

function home(surroundings: Surroundings): string | undefined {
  return set(surroundings, "HOME");
}

function etc(surroundings: Surroundings): string {
  return surroundings.etc ?? "/etc";
}

/** Files with credentials. With `authFile`, or `REGISTRY_AUTH_FILE`, that one alone. */
export function authFiles(surroundings: Surroundings, authFile?: string): AuthFilePlace[] {
  const told = authFile ?? set(surroundings, "REGISTRY_AUTH_FILE");
  if (told !== undefined) return [{ path: told, isLegacy: false, isRequired: true }];
  const runtime = set(surroundings, "XDG_RUNTIME_DIR");
  const homeDirectory = home(surroundings);
  const config =
    set(surroundings, "XDG_CONFIG_HOME") ??
    (homeDirectory === undefined ? undefined : join(homeDirectory, ".config"));
  const docker =
    set(surroundings, "DOCKER_CONFIG") ??
    (homeDirectory === undefined ? undefined : join(homeDirectory, ".docker"));
  const paths = [
    runtime === undefined
      ? `/run/containers/${surroundings.uid}/auth.json`
      : join(runtime, "containers/auth.json"),
    ...(config === undefined ? [] : [join(config, "containers/auth.json")]),
    ...(docker === undefined ? [] : [join(docker, "config.json")]),
  ].map((path) => ({ path, isLegacy: false, isRequired: false }));
  if (homeDirectory === undefined) return paths;
  return [...paths, { path: join(homeDirectory, ".dockercfg"), isLegacy: true, isRequired: false }];
}

/**
 * Where registries are configured. The user's own file replaces the system's and its drop-ins; the
 * user's drop-ins come after all others. `exists` tells whether there is such a file.
 */
export function registriesPlaces(
  surroundings: Surroundings,
  exists: (path: string) => boolean,
  told: string | undefined = set(surroundings, "CONTAINERS_REGISTRIES_CONF"),
): RegistriesPlaces {
  const homeDirectory = home(surroundings);
  const own = homeDirectory === undefined ? undefined : join(homeDirectory, ".config/containers");
  const ownDropIns = own === undefined ? [] : [join(own, "registries.conf.d")];
  const system = join(etc(surroundings), "containers/registries.conf");
  const allDropIns = [`${system}.d`, ...ownDropIns];
  if (told !== undefined) return { file: told, isRequired: true, directories: allDropIns };
  const ownFile = own === undefined ? undefined : join(own, "registries.conf");
  if (ownFile !== undefined && exists(ownFile)) {
    return { file: ownFile, isRequired: false, directories: ownDropIns };
  }
  return { file: system, isRequired: false, directories: allDropIns };
}

/** The names that podman noted when somebody chose one of several registries. */
export function notedAliases(surroundings: Surroundings): string | undefined {
  const name = "containers/short-name-aliases.conf";
  if (surroundings.uid === 0) return join("/var/cache", name);
  const cache = set(surroundings, "XDG_CACHE_HOME");
  if (cache !== undefined) return join(cache, name);
  const homeDirectory = home(surroundings);
  return homeDirectory === undefined ? undefined : join(homeDirectory, ".cache", name);
}

/** Directories with certificates for `host`; the first that exists counts. */
export function certificateDirectories(surroundings: Surroundings, host: string): string[] {
  const homeDirectory = home(surroundings);
  return [
    ...(homeDirectory === undefined
      ? []
      : [join(homeDirectory, ".config/containers/certs.d", host)]),
    join(etc(surroundings), "containers/certs.d", host),
    join(etc(surroundings), "docker/certs.d", host),
  ];
}
