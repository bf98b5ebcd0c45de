/**
 * Names of OCI images: `registry.example:5000/some/name:tag@sha256:…`, and short names without a
 * registry.
 *
 * Source: OCI distribution specification 1.1, "Pulling manifests" (repository and tag); the reference
 * grammar of docker/distribution, which containers follow too: a first part that holds a dot or a
 * colon, or is `localhost`, is a registry; docker.io has `library/` before names of one part. Unlike
 * there, an IPv6 address in brackets is a registry as well.
 */

import { ComposefsError } from "../errors.ts";
import { shown } from "./json.ts";
import { isOciDigest } from "./oci-digest.ts";
import type { OciDigest } from "./oci-digest.ts";

/** The name of an image in a registry. */
export interface ImageReference {
  /** `host` or `host:port`; an IPv6 address is in brackets. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: OciDigest | undefined;
}

/** A name that does not say in which registry. */
export type ShortName = Omit<ImageReference, "registry"> & { readonly registry: undefined };

/** The registry of names without one, for Docker. */
const DOCKER_REGISTRY = "docker.io";
/** Another name of the same. */
const DOCKER_REGISTRY_OLD = "index.docker.io";
/** Where docker.io has names of one part. */
const DOCKER_LIBRARY = "library/";
/** The tag that is meant where there is none. */
export const DEFAULT_TAG = "latest";

/** Registries refuse longer names, registry included. */
const NAME_LENGTH_MAX = 255;
/** Longer than any reference that can be valid. */
const REFERENCE_LENGTH_MAX = 600;

const HOST_PART = "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)";
const REGISTRY = new RegExp(
  `^(?:${HOST_PART}(?:\\.${HOST_PART})*|\\[[0-9a-fA-F:]+(?:\\.[0-9]+){0,3}\\])(?::(?<port>[0-9]{1,5}))?$`,
);
const REPOSITORY_PART = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const IMAGE_ID = /^[0-9a-f]{64}$/;

/** Parses a name; one without a registry stays so. Throws `invalid-reference`. */
export function parseImageName(text: string): ImageReference | ShortName {
  if (text.length > REFERENCE_LENGTH_MAX) throw invalid(text, "it is too long");
  const { name, tag, digest } = splitReference(text);
  if (IMAGE_ID.test(name)) throw invalid(text, "it is the ID of an image, not a name");
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  if (!isRegistryLike(first)) {
    return { registry: undefined, repository: checkRepository(text, name), tag, digest };
  }
  if (!isRegistry(first)) throw invalid(text, `${shown(first)} is not a host and port`);
  const registry = first === DOCKER_REGISTRY_OLD ? DOCKER_REGISTRY : first;
  return qualified(text, registry, { repository: name.slice(slash + 1), tag, digest });
}

/** Parses a name; one without a registry is one of docker.io. Throws `invalid-reference`. */
export function parseImageReference(text: string): ImageReference {
  const name = parseImageName(text);
  return name.registry === undefined ? withRegistry(name, DOCKER_REGISTRY) : name;
}

/** A short name in a registry. Throws `invalid-reference` if both together are too long. */
export function withRegistry(name: ShortName, registry: string): ImageReference {
  return qualified(formatName(name), registry, name);
}

/** The text that {@link parseImageName} parses to the same. */
export function formatImageReference(reference: ImageReference | ShortName): string {
  const { tag, digest } = reference;
  return `${formatName(reference)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** Registry and repository alone: by what configuration and credentials are looked up. */
export function formatName({ registry, repository }: ImageReference | ShortName): string {
  return registry === undefined ? repository : `${registry}/${repository}`;
}

/** What to ask the registry for: the digest where there is one, else the tag. */
export function tagOrDigest({ tag, digest }: ImageReference): string {
  return digest ?? tag ?? DEFAULT_TAG;
}

/** Whether a text is `host` or `host:port`. */
export function isRegistry(text: string): boolean {
  const match = REGISTRY.exec(text);
  if (match === null) return false;
  return Number(match.groups?.["port"] ?? 1) <= 65_535 && match.groups?.["port"] !== "0";
}

function isRegistryLike(first: string): boolean {
  return /[.:]/.test(first) || first === "localhost";
}

function qualified(
  text: string,
  registry: string,
  { repository, tag, digest }: Omit<ImageReference, "registry">,
): ImageReference {
  const isDocker = registry === DOCKER_REGISTRY && !repository.includes("/");
  const whole = checkRepository(text, isDocker ? `${DOCKER_LIBRARY}${repository}` : repository);
  if (registry.length + 1 + whole.length > NAME_LENGTH_MAX) {
    throw invalid(text, `the name is longer than ${NAME_LENGTH_MAX} characters`);
  }
  return { registry, repository: whole, tag, digest };
}

/** Cuts at `@`, then at a colon behind the last slash: others belong to a port. */
function splitReference(text: string): {
  readonly name: string;
  readonly tag: string | undefined;
  readonly digest: OciDigest | undefined;
} {
  const at = text.indexOf("@");
  const named = at === -1 ? text : text.slice(0, at);
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isOciDigest(digest)) {
    throw invalid(text, `${shown(digest)} is not a sha256 or sha512 digest`);
  }
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  // `localhost:5000` alone is a name and a tag, as everywhere.
  const name = colon === -1 ? named : named.slice(0, colon);
  const tag = colon === -1 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `${shown(tag)} is not a tag`);
  return { name, tag, digest };
}

function checkRepository(text: string, repository: string): string {
  if (repository === "") throw invalid(text, "it has no name");
  if (repository.length > NAME_LENGTH_MAX) {
    throw invalid(text, `the name is longer than ${NAME_LENGTH_MAX} characters`);
  }
  const wrong = repository.split("/").find((part) => !REPOSITORY_PART.test(part));
  if (wrong === undefined) return repository;
  const isCase = REPOSITORY_PART.test(wrong.toLowerCase());
  throw invalid(
    text,
    wrong === ""
      ? "a part of the name is empty"
      : isCase
        ? `${shown(wrong)} has upper-case letters`
        : `${shown(wrong)} is not a part of a name`,
  );
}

function invalid(text: string, reason: string): ComposefsError {
  return new ComposefsError(
    "invalid-reference",
    `Cannot parse image name ${shown(text)}: ${reason}`,
  );
}
