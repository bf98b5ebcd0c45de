/**
 * Files with credentials: podman's `auth.json`, Docker's `config.json`, and `.dockercfg`.
 *
 * Source: containers-auth.json(5); containers/image pkg/docker/config: helpers of a registry come
 * first, then the entry for the longest part of the name, then entries that are addresses
 * (`https://index.docker.io/v1/`). `credsStore` is Docker's helper for all registries.
 */

import { readFileSync } from "node:fs";
import { displayText, byteString } from "../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../core/errors.ts";
import { Credentials } from "./credentials.ts";
import type { AuthFilePlace } from "../config/places.ts";

/** What a file says of a repository. */
export type AuthFileAnswer =
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** Ask this helper; `isFallback` when it is for all registries. */
  | { readonly kind: "helper"; readonly helper: string; readonly isFallback: boolean }
  | { readonly kind: "nothing" };

/** A file of credentials, read once. */
export interface AuthFile {
  readonly path: string;
  readonly isLegacy: boolean;
  readonly auths: ReadonlyMap<string, unknown>;
  readonly helpers: ReadonlyMap<string, unknown>;
  readonly store: unknown;
}

const NOTHING: AuthFileAnswer = { kind: "nothing" };

/** Reads a file; `undefined` where there is none and there need not be. Throws `invalid-config`. */
export function readAuthFile(place: AuthFilePlace): AuthFile | undefined {
  let text: string;
  try {
    text = readFileSync(place.path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A user who may not look into another's directory has no credentials there.
    const isAbsent = code === "ENOENT" || code === "ENOTDIR" || code === "EACCES";
    if (isAbsent && !place.isRequired) return undefined;
    throw invalid(place.path, (error as Error).message, error);
  }
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    // Not with Node's words: they quote the text.
    throw invalid(place.path, "it is not JSON");
  }
  if (place.isLegacy) {
    return { ...place, auths: entriesOf(root), helpers: new Map(), store: undefined };
  }
  const top = entriesOf(root);
  return {
    ...place,
    auths: entriesOf(top.get("auths")),
    helpers: entriesOf(top.get("credHelpers")),
    store: top.get("credsStore"),
  };
}

/** Looks a repository up, `registry/name/of/it`. Throws `invalid-config`. */
export function lookUp(file: AuthFile, name: string): AuthFileAnswer {
  const registry = registryOf(name);
  const helper = file.helpers.get(registry);
  if (typeof helper === "string" && helper !== "") {
    return { kind: "helper", helper, isFallback: false };
  }
  for (const key of keysFor(name, file.isLegacy)) {
    const found = file.auths.get(key);
    const credentials = found === undefined ? undefined : decode(file, key, found);
    if (credentials !== undefined) return { kind: "credentials", credentials };
    if (found !== undefined) break;
  }
  for (const [key, entry] of file.auths) {
    if (normalKey(key, file.isLegacy) !== normalRegistry(registry)) continue;
    const credentials = decode(file, key, entry);
    if (credentials !== undefined) return { kind: "credentials", credentials };
  }
  if (typeof file.store === "string" && file.store !== "") {
    return { kind: "helper", helper: file.store, isFallback: true };
  }
  return NOTHING;
}

/** The part of a name before the first slash. */
export function registryOf(name: string): string {
  const slash = name.indexOf("/");
  return slash === -1 ? name : name.slice(0, slash);
}

/** `a/b/c`, `a/b`, `a`; the registry alone for old files. */
function keysFor(name: string, isLegacy: boolean): string[] {
  if (isLegacy) return [registryOf(name)];
  const parts = name.split("/");
  return parts.map((_, i) => parts.slice(0, parts.length - i).join("/"));
}

function normalKey(key: string, isLegacy: boolean): string {
  const bare = key.replace(/^https?:\/\//, "");
  return normalRegistry(isLegacy || bare !== key ? registryOf(bare) : bare);
}

/** All names of Docker's registry are one. */
function normalRegistry(registry: string): string {
  return registry === "docker.io" || registry === "registry-1.docker.io"
    ? "index.docker.io"
    : registry;
}

/** `undefined` for an entry that holds nothing: helpers leave such. */
function decode(file: AuthFile, key: string, entry: unknown): Credentials | undefined {
  const fields = entriesOf(entry);
  const identityToken = fields.get("identitytoken");
  const token =
    typeof identityToken === "string" && identityToken !== "" ? identityToken : undefined;
  const auth = fields.get("auth");
  const where = `"${file.path}" for ${displayText(byteString(key.slice(0, 200)))}`;
  if (typeof auth !== "string" || auth === "") {
    if (token === undefined) return undefined;
    return new Credentials(where, { username: "", password: "", identityToken: token });
  }
  const pair = Buffer.from(auth, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  if (colon === -1) {
    throw invalid(
      file.path,
      `"auth" of ${displayText(byteString(key.slice(0, 200)))} has no colon`,
    );
  }
  return new Credentials(where, {
    username: pair.slice(0, colon),
    // Old versions of Docker padded it.
    password: pair.slice(colon + 1).replace(/^\0+|\0+$/g, ""),
    identityToken: token,
  });
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return new Map();
  return new Map(Object.entries(value));
}

function invalid(path: string, reason: string, cause?: unknown): ComposefsError {
  return new ComposefsError(
    "invalid-config",
    `Cannot read credentials from "${path}": ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
