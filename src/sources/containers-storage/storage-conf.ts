/**
 * Where podman keeps its images: `storage.conf`, and what holds without one.
 *
 * Source: containers-storage.conf(5); containers/storage types/options.go for the order of the files.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { ComposefsError } from "../../core/errors.ts";

/** Options of a storage source. */
export interface StorageOptions {
  /** The environment of the process, for `HOME`, `XDG_DATA_HOME`, `CONTAINERS_STORAGE_CONF` … */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** 0 unless told: the system's storage. */
  readonly uid?: number | undefined;
  /** Instead of all places where `storage.conf` may be. */
  readonly storageConf?: string | undefined;
}

/** Where images lie. */
export interface StoragePlaces {
  readonly driver: string;
  readonly graphRoot: string;
  /** Other graph roots, only for reading. */
  readonly additional: readonly string[];
}

const DRIVER = "overlay";
const SYSTEM_ROOT = "/var/lib/containers/storage";

/** Reads the configuration. Throws `invalid-config`. */
export function readStoragePlaces(options: StorageOptions = {}): StoragePlaces {
  const surroundings = new Surroundings(options);
  for (const { path, isRequired } of surroundings.files()) {
    const text = readConfig(path, isRequired);
    if (text !== undefined) return parseStorageConf(text, path, surroundings);
  }
  return { driver: DRIVER, graphRoot: surroundings.defaultRoot(), additional: [] };
}

class Surroundings {
  readonly #options: StorageOptions;

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  get isRoot(): boolean {
    return (this.#options.uid ?? 0) === 0;
  }

  variable(name: string): string | undefined {
    const value = this.#options.environment?.[name];
    return value === "" ? undefined : value;
  }

  /** The first that is there counts alone. */
  files(): { readonly path: string; readonly isRequired: boolean }[] {
    const told = this.#options.storageConf ?? this.variable("CONTAINERS_STORAGE_CONF");
    if (told !== undefined) return [{ path: told, isRequired: true }];
    const home = this.variable("HOME");
    const config =
      this.variable("XDG_CONFIG_HOME") ?? (home === undefined ? undefined : join(home, ".config"));
    return [
      ...(this.isRoot || config === undefined ? [] : [join(config, "containers/storage.conf")]),
      "/etc/containers/storage.conf",
      "/usr/share/containers/storage.conf",
    ].map((path) => ({ path, isRequired: false }));
  }

  defaultRoot(): string {
    const home = this.variable("HOME");
    if (this.isRoot || home === undefined) return SYSTEM_ROOT;
    return join(this.variable("XDG_DATA_HOME") ?? join(home, ".local/share"), "containers/storage");
  }

  /** `$HOME` and others in a path, as Go expands them. */
  expand(path: string): string {
    return path.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced?: string, bare?: string) => {
      const name = braced ?? bare ?? "";
      return name === "UID" ? String(this.#options.uid ?? 0) : (this.variable(name) ?? "");
    });
  }
}

/** Parses a file. `path` is for messages. Throws `invalid-config`. */
function parseStorageConf(text: string, path: string, surroundings: Surroundings): StoragePlaces {
  let root: unknown;
  try {
    root = parse(text);
  } catch (cause) {
    throw invalid(path, (cause as Error).message.split("\n", 1)[0]!, cause);
  }
  const storage = tableOf(root, "storage");
  const options = tableOf(storage, "options");
  const words = (table: Readonly<Record<string, unknown>>, name: string): string | undefined => {
    const value = table[name];
    if (value === undefined || value === "") return undefined;
    if (typeof value !== "string") throw invalid(path, `${name} is not a text`);
    return value;
  };
  const additional = options["additionalimagestores"] ?? [];
  if (!Array.isArray(additional) || additional.some((one) => typeof one !== "string")) {
    throw invalid(path, "additionalimagestores is not a list of texts");
  }
  const rootless = surroundings.isRoot ? undefined : words(storage, "rootless_storage_path");
  // The system's file names the system's place; another user's own is not there.
  const isSystems = path.startsWith("/etc/") || path.startsWith("/usr/");
  const named = surroundings.isRoot || !isSystems ? words(storage, "graphroot") : undefined;
  const graphRoot = rootless ?? named;
  return {
    driver: words(storage, "driver") ?? DRIVER,
    graphRoot:
      graphRoot === undefined ? surroundings.defaultRoot() : surroundings.expand(graphRoot),
    additional: additional.map((one: string) => surroundings.expand(one)),
  };
}

function tableOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  const table = (value as Record<string, unknown>)[name];
  return typeof table === "object" && table !== null ? (table as Record<string, unknown>) : {};
}

function readConfig(path: string, isRequired: boolean): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (!isRequired && (cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw invalid(path, (cause as NodeJS.ErrnoException).code ?? "cannot be read", cause);
  }
}

function invalid(path: string, reason: string, cause?: unknown): ComposefsError {
  return new ComposefsError(
    "invalid-config",
    `Cannot read storage configuration "${path}": ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
