/**
 * One file of registry configuration: TOML in, checked records out.
 *
 * Source: containers-registries.conf(5), and containers/image pkg/sysregistriesv2 for what it leaves
 * open: keys that nobody knows are ignored, locations lose slashes at their end. Version 1, with its
 * three lists, is read as what it means in version 2.
 */

import { parse } from "smol-toml";
import { ComposefsError } from "../../../core/errors.ts";
import { formatName, isRegistry, parseImageName } from "../../../core/oci/reference.ts";

/** Where a registry can be reached. */
export interface Location {
  /** `host[:port][/name…]`; empty where the name stays as it is, below a `*.` prefix. */
  readonly location: string;
  /** Any certificate will do, or none. */
  readonly isInsecure: boolean;
}

/** A copy of a registry, asked before it. */
export interface Mirror extends Location {
  readonly pullFrom: "all" | "digest-only" | "tag-only";
}

/** A `[[registry]]` table. */
export interface RegistryEntry extends Location {
  /** The names that it is about: `host[:port][/name…]` or `*.host`. */
  readonly prefix: string;
  readonly isBlocked: boolean;
  readonly mirrors: readonly Mirror[];
  readonly isMirrorByDigestOnly: boolean;
}

/** What to do with a short name that several registries could have. */
export type ShortNameMode = "enforcing" | "permissive" | "disabled";

/** The name that stands for the files with credentials among the helpers. */
export const AUTH_FILES_HELPER = "containers-auth.json";

/** What one file says; `undefined` where it says nothing. */
export interface RegistriesFile {
  readonly registries: readonly RegistryEntry[];
  readonly searched: readonly string[] | undefined;
  readonly helpers: readonly string[] | undefined;
  readonly shortNameMode: ShortNameMode | undefined;
  /** Short names to full ones; an empty one takes an alias of an earlier file away. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** Parses a file; drop-ins have to be of version 2. `path` is for messages. Throws `invalid-config`. */
export function parseRegistriesFile(text: string, path: string, isDropIn: boolean): RegistriesFile {
  let root: unknown;
  try {
    root = parse(text);
  } catch (cause) {
    // Its first line; the others show the place.
    throw invalid(path, (cause as Error).message.split("\n", 1)[0]!, cause);
  }
  return new FileReader(path).read(new Table(path, "", root), isDropIn);
}

/** Parses podman's own file of aliases. Throws `invalid-config`. */
export function parseAliasesFile(text: string, path: string): ReadonlyMap<string, string> {
  return parseRegistriesFile(text, path, true).aliases;
}

class FileReader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  read(root: Table, isDropIn: boolean): RegistriesFile {
    const old = root.table("registries");
    const registries = root.tables("registry").map((table) => this.#registry(table));
    const searched = root.texts("unqualified-search-registries");
    const file: RegistriesFile = {
      registries: this.#distinct(registries),
      searched: searched?.map((each) => this.#searched(each)),
      helpers: root.texts("credential-helpers"),
      shortNameMode: this.#mode(root.text("short-name-mode")),
      aliases: this.#aliases(root.table("aliases")),
    };
    if (old === undefined) return file;
    if (isDropIn) throw invalid(this.#path, "it is of version 1, and a drop-in cannot be");
    if (registries.length > 0 || searched !== undefined) {
      throw invalid(this.#path, "it mixes versions 1 and 2");
    }
    return { ...file, ...this.#versionOne(old) };
  }

  #registry(table: Table): RegistryEntry {
    const location = this.#location(table.text("location") ?? "");
    const prefix = this.#location(table.text("prefix") ?? "") || location;
    if (prefix === "") throw table.invalid("has neither prefix nor location");
    const isWild = prefix.startsWith("*.");
    if (isWild && /[/@:]/.test(prefix)) {
      throw table.invalid(`has prefix "${prefix}": behind *. there is a host alone`);
    }
    if (!isWild && location === "") throw table.invalid(`has prefix "${prefix}" and no location`);
    if (table.text("pull-from-mirror") !== undefined) {
      throw table.invalid("has pull-from-mirror, which only a mirror has");
    }
    const isMirrorByDigestOnly = table.flag("mirror-by-digest-only");
    const mirrors = table.tables("mirror").map((each) => this.#mirror(each, isMirrorByDigestOnly));
    return {
      prefix,
      location,
      isInsecure: table.flag("insecure"),
      isBlocked: table.flag("blocked"),
      mirrors,
      isMirrorByDigestOnly,
    };
  }

  #mirror(table: Table, isByDigestOnly: boolean): Mirror {
    const location = this.#location(table.text("location") ?? "");
    if (location === "") throw table.invalid("has no location");
    const told = table.text("pull-from-mirror") ?? "";
    if (told !== "" && isByDigestOnly) {
      throw table.invalid("has pull-from-mirror, and its registry mirror-by-digest-only");
    }
    const pullFrom = told === "" ? "all" : told;
    if (pullFrom !== "all" && pullFrom !== "digest-only" && pullFrom !== "tag-only") {
      throw table.invalid(`has pull-from-mirror "${told}", not all, digest-only or tag-only`);
    }
    return { location, isInsecure: table.flag("insecure"), pullFrom };
  }

  #location(text: string): string {
    if (/^https?:\/\//.test(text)) {
      throw invalid(this.#path, `"${text}" has http:// or https:// before it`);
    }
    return text.replace(/\/+$/, "");
  }

  #searched(text: string): string {
    const registry = this.#location(text);
    if (isRegistry(registry)) return registry;
    throw invalid(this.#path, `unqualified-search-registries has "${text}", which is no host`);
  }

  #mode(text: string | undefined): ShortNameMode | undefined {
    if (text === undefined || text === "") return undefined;
    if (text === "enforcing" || text === "permissive" || text === "disabled") return text;
    throw invalid(
      this.#path,
      `short-name-mode is "${text}", not enforcing, permissive or disabled`,
    );
  }

  #aliases(table: Table | undefined): ReadonlyMap<string, string> {
    const aliases = new Map<string, string>();
    for (const name of table?.names() ?? []) {
      const value = table!.text(name) ?? "";
      if (!isBareName(name, false)) throw invalid(this.#path, `alias "${name}" is no short name`);
      if (value !== "" && !isBareName(value, true)) {
        throw invalid(this.#path, `alias "${name}" stands for "${value}", which is no full name`);
      }
      aliases.set(name, value);
    }
    return aliases;
  }

  /** The same registry may stand in several tables, if they do not contradict each other; of one prefix the first counts. */
  #distinct(registries: readonly RegistryEntry[]): RegistryEntry[] {
    const byPlace = new Map<string, RegistryEntry>();
    const byPrefix = new Map<string, RegistryEntry>();
    for (const each of registries) {
      const place = each.location === "" ? each.prefix : each.location;
      const other = byPlace.get(place) ?? each;
      byPlace.set(place, other);
      if (other.isInsecure !== each.isInsecure || other.isBlocked !== each.isBlocked) {
        throw invalid(this.#path, `it says of "${place}" once one thing and once another`);
      }
      if (!byPrefix.has(each.prefix)) byPrefix.set(each.prefix, each);
    }
    return [...byPrefix.values()];
  }

  #versionOne(old: Table): Pick<RegistriesFile, "registries" | "searched"> {
    const list = (name: string): string[] =>
      (old.table(name)?.texts("registries") ?? []).map((each) => this.#location(each));
    const blocked = list("block");
    const insecure = list("insecure");
    const places = [...new Set([...blocked, ...insecure])];
    return {
      searched: list("search").map((each) => this.#searched(each)),
      registries: places.map((place) => ({
        prefix: place,
        location: place,
        isBlocked: blocked.includes(place),
        isInsecure: insecure.includes(place),
        mirrors: [],
        isMirrorByDigestOnly: false,
      })),
    };
  }
}

/** A name without tag and digest, with or without a registry. */
function isBareName(text: string, isFull: boolean): boolean {
  try {
    const name = parseImageName(text);
    if (name.tag !== undefined || name.digest !== undefined) return false;
    return (name.registry !== undefined) === isFull && formatName(name) !== "";
  } catch {
    return false;
  }
}

/** A table of TOML whose values are checked where they are read. */
class Table {
  readonly #path: string;
  readonly #name: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(path: string, name: string, value: unknown) {
    this.#path = path;
    this.#name = name;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalid(path, `${name} is not a table`);
    }
    this.#fields = value as Record<string, unknown>;
  }

  names(): string[] {
    return Object.keys(this.#fields);
  }

  text(name: string): string | undefined {
    const value = this.#get(name);
    if (value === undefined || typeof value === "string") return value;
    throw this.invalid(`has a ${name} that is not a text`);
  }

  flag(name: string): boolean {
    const value = this.#get(name) ?? false;
    if (typeof value === "boolean") return value;
    throw this.invalid(`has a ${name} that is neither true nor false`);
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
    throw this.invalid(`has a ${name} that is not a list of texts`);
  }

  table(name: string): Table | undefined {
    const value = this.#get(name);
    return value === undefined ? undefined : new Table(this.#path, this.#inner(name), value);
  }

  tables(name: string): Table[] {
    const value = this.#get(name) ?? [];
    if (!Array.isArray(value)) throw this.invalid(`has a ${name} that is not [[${name}]]`);
    return value.map((each, i) => new Table(this.#path, `${this.#inner(name)}[${i}]`, each));
  }

  invalid(reason: string): ComposefsError {
    return invalid(this.#path, `${this.#name === "" ? "it" : this.#name} ${reason}`);
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  #inner(name: string): string {
    return this.#name === "" ? name : `${this.#name}.${name}`;
  }
}

function invalid(path: string, reason: string, cause?: unknown): ComposefsError {
  return new ComposefsError(
    "invalid-config",
    `Cannot read "${path}": ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
