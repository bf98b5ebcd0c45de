/**
 * All configuration of registries together: which entry is about a name, where the name can be had, and
 * what a short name stands for.
 *
 * Source: containers-registries.conf(5) and containers-registries.conf.d(5); containers/image
 * pkg/sysregistriesv2.
 */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ComposefsError } from "../../../core/errors.ts";
import { compareByteStrings, byteString } from "../../../core/bytes/byte-string.ts";
import {
  formatImageReference,
  formatName,
  parseImageReference,
  withRegistry,
} from "../../../core/oci/reference.ts";
import type { ImageReference, ShortName } from "../../../core/oci/reference.ts";
import { notedAliases, registriesPlaces } from "./places.ts";
import type { Surroundings } from "./places.ts";
import { AUTH_FILES_HELPER, parseAliasesFile, parseRegistriesFile } from "./registries-file.ts";
import type { Location, RegistriesFile, RegistryEntry, ShortNameMode } from "./registries-file.ts";

/** Where an image can be had: the first place that has it is used. */
export interface Endpoint {
  /** The name there. */
  readonly reference: ImageReference;
  readonly isInsecure: boolean;
  readonly isMirror: boolean;
}

/** What the files of a machine say together. */
export interface Registries {
  readonly entries: readonly RegistryEntry[];
  readonly searched: readonly string[];
  readonly helpers: readonly string[];
  readonly shortNameMode: ShortNameMode;
  readonly aliases: ReadonlyMap<string, string>;
}

/** Reads all files. Throws `invalid-config`. */
export function readRegistries(surroundings: Surroundings, file?: string): Registries {
  const places = registriesPlaces(surroundings, existsSync, file);
  const main = readIfThere(places.file, places.isRequired);
  const files: RegistriesFile[] = [];
  if (main !== undefined) files.push(parseRegistriesFile(main, places.file, false));
  for (const directory of places.directories) {
    for (const name of namesIn(directory)) {
      const path = join(directory, name);
      const text = readIfThere(path, false);
      if (text !== undefined) files.push(parseRegistriesFile(text, path, true));
    }
  }
  const noted = notedAliases(surroundings);
  const notedText = noted === undefined ? undefined : readIfThere(noted, false);
  const merged = mergeRegistries(files);
  if (notedText === undefined) return merged;
  const aliases = new Map([...merged.aliases, ...parseAliasesFile(notedText, noted!)]);
  return { ...merged, aliases };
}

/** Later files win: entry by entry, alias by alias, list by list. */
export function mergeRegistries(files: readonly RegistriesFile[]): Registries {
  const entries = new Map<string, RegistryEntry>();
  const aliases = new Map<string, string>();
  let searched: readonly string[] = [];
  let helpers: readonly string[] = [];
  let shortNameMode: ShortNameMode = "permissive";
  for (const file of files) {
    for (const entry of file.registries) entries.set(entry.prefix, entry);
    for (const [name, value] of file.aliases) aliases.set(name, value);
    searched = file.searched ?? searched;
    helpers = file.helpers ?? helpers;
    shortNameMode = file.shortNameMode ?? shortNameMode;
  }
  return {
    entries: [...entries.values()],
    searched,
    helpers: helpers.length === 0 ? [AUTH_FILES_HELPER] : helpers,
    shortNameMode,
    aliases,
  };
}

/** Where to pull from, mirrors first. Throws `registry-denied` for a blocked registry. */
export function pullEndpoints(registries: Registries, reference: ImageReference): Endpoint[] {
  const text = formatImageReference(reference);
  const entry = findEntry(registries, text);
  if (entry === undefined) return [{ reference, isInsecure: false, isMirror: false }];
  refuseBlocked(entry, text);
  const isByDigest = reference.digest !== undefined;
  const mirrors = entry.mirrors.filter(({ pullFrom }) => {
    if (entry.isMirrorByDigestOnly) return isByDigest;
    return pullFrom === "all" || (pullFrom === "digest-only") === isByDigest;
  });
  return [
    ...mirrors.map((mirror) => endpoint(reference, entry, mirror, true)),
    endpoint(reference, entry, entry, false),
  ];
}

/** Where to push to: the very place, never a mirror. Throws `registry-denied` for a blocked registry. */
export function pushEndpoint(registries: Registries, reference: ImageReference): Endpoint {
  const text = formatImageReference(reference);
  const entry = findEntry(registries, text);
  if (entry !== undefined) refuseBlocked(entry, text);
  return { reference, isInsecure: entry?.isInsecure ?? false, isMirror: false };
}

/**
 * The full names that a short one can stand for, in the order of trying. Throws `invalid-reference`
 * where there is none, or where only somebody at a terminal could choose.
 */
export function resolveShortName(registries: Registries, name: ShortName): ImageReference[] {
  const text = formatImageReference(name);
  const alias = registries.aliases.get(name.repository);
  if (alias !== undefined && alias !== "") {
    return [{ ...parseImageReference(alias), tag: name.tag, digest: name.digest }];
  }
  const { searched, shortNameMode } = registries;
  const hint = `write it with its registry, as docker.io/${name.repository.includes("/") ? "" : "library/"}${text}`;
  if (searched.length === 0) {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot find image "${text}": it is no alias, and registries.conf names no registries to search`,
      { hint },
    );
  }
  if (searched.length > 1 && shortNameMode === "enforcing") {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot find image "${text}": it may be in ${searched.join(", ")}, and short-name-mode is enforcing`,
      { hint },
    );
  }
  return searched.map((registry) => withRegistry(name, registry));
}

/** The entry with the longest prefix that a name has. */
function findEntry(registries: Registries, text: string): RegistryEntry | undefined {
  let best: RegistryEntry | undefined;
  for (const entry of registries.entries) {
    const isLonger = entry.prefix.length > (best?.prefix.length ?? 0);
    if (isLonger && matchedLength(text, entry.prefix) !== undefined) best = entry;
  }
  return best;
}

/** How much of a name a prefix covers; what follows it has to be a new part. */
export function matchedLength(text: string, prefix: string): number | undefined {
  let end: number;
  if (prefix.startsWith("*.")) {
    const registry = /^[^/@:]*/.exec(text)![0];
    const suffix = prefix.slice(1);
    // `*.example.com` is not for example.com itself.
    if (!registry.endsWith(suffix) || registry.length === suffix.length) return undefined;
    end = registry.length;
  } else {
    if (!text.startsWith(prefix)) return undefined;
    end = prefix.length;
  }
  const next = text[end];
  return next === undefined || next === "/" || next === ":" || next === "@" ? end : undefined;
}

function endpoint(
  reference: ImageReference,
  entry: RegistryEntry,
  { location, isInsecure }: Location,
  isMirror: boolean,
): Endpoint {
  if (location === "") return { reference, isInsecure, isMirror };
  const text = formatImageReference(reference);
  const rest = text.slice(matchedLength(text, entry.prefix));
  try {
    return { reference: parseImageReference(`${location}${rest}`), isInsecure, isMirror };
  } catch (cause) {
    throw new ComposefsError(
      "invalid-config",
      `Cannot use location "${location}" of registry "${entry.prefix}": ${(cause as Error).message}`,
      { cause },
    );
  }
}

function refuseBlocked(entry: RegistryEntry, text: string): void {
  if (!entry.isBlocked) return;
  throw new ComposefsError(
    "registry-denied",
    `Cannot use image "${text}": registries.conf blocks "${entry.prefix}"`,
  );
}

/** What entries and credentials are looked up by. */
export function lookUpName(reference: ImageReference): string {
  return formatName(reference);
}

function namesIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".conf"));
    return names.sort((a, b) => compareByteStrings(byteString(a), byteString(b)));
  } catch (error) {
    if (isAbsent(error)) return [];
    throw unreadable(directory, error);
  }
}

function readIfThere(path: string, isRequired: boolean): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // A directory that ends in `.conf` is no drop-in.
    const isDirectory = (error as NodeJS.ErrnoException).code === "EISDIR";
    if (!isRequired && (isAbsent(error) || isDirectory)) return undefined;
    throw unreadable(path, error);
  }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

function unreadable(path: string, cause: unknown): ComposefsError {
  return new ComposefsError(
    "invalid-config",
    `Cannot read "${path}": ${(cause as Error).message}`,
    { cause },
  );
}
