/**
 * `meta.json`: what a repository is. Bytes as composefs-rs writes them, and its rules for what is unknown.
 *
 * Source: composefs-rs 0.9, the crate `composefs`, module `repository`.
 */

import { ComposefsError } from "../core/errors.ts";
import type { FormatVersion } from "../core/erofs/version.ts";
import type { FsVerityAlgorithm } from "../core/fsverity/digest.ts";

/** The name of the file in the directory of the repository. */
export const META_JSON = "meta.json";

const VERSION = 1;
/** Of every fs-verity digest of a repository: blocks of 2^12 bytes. */
const LG_BLOCK_SIZE = 12;
/** The read-only-compatible feature of repositories whose default format is V1. */
const V1_EROFS = "v1_erofs";
/** No metadata that anybody writes is nearly as large. */
const SIZE_MAX = 1 << 20;

/** The formats of the EROFS images that a repository makes. */
export interface ErofsFormats {
  readonly default: FormatVersion;
  /** Made beside it, in ascending order. */
  readonly extra: readonly FormatVersion[];
}

/** Names of features; what a program does not know of them, it treats as the kind says. */
export interface Features {
  /** Ignored. */
  readonly compatible: readonly string[];
  /** The repository may be read. */
  readonly readOnlyCompatible: readonly string[];
  /** The repository may not be used. */
  readonly incompatible: readonly string[];
}

/** What a repository says about itself. */
export interface RepositoryMetadata {
  readonly algorithm: FsVerityAlgorithm;
  readonly formats: ErofsFormats;
  readonly features: Features;
}

/** The metadata of a new repository. */
export function newMetadata(
  algorithm: FsVerityAlgorithm,
  formats: ErofsFormats,
): RepositoryMetadata {
  const extra = [...new Set(formats.extra)].sort((a, b) => a - b);
  const readOnlyCompatible = formats.default === 1 ? [V1_EROFS] : [];
  return {
    algorithm,
    formats: { default: formats.default, extra },
    features: { compatible: [], readOnlyCompatible, incompatible: [] },
  };
}

/** The read-only-compatible features that this program does not know. */
export function unknownFeatures(metadata: RepositoryMetadata): readonly string[] {
  return metadata.features.readOnlyCompatible.filter((feature) => feature !== V1_EROFS);
}

/** The bytes of `meta.json`. */
export function formatMetadata(metadata: RepositoryMetadata): Uint8Array {
  const { algorithm, formats, features } = metadata;
  const { extra } = formats;
  const json = {
    version: VERSION,
    algorithm: `fsverity-${algorithm}-${LG_BLOCK_SIZE}`,
    features: {
      compatible: features.compatible,
      "read-only-compatible": features.readOnlyCompatible,
      incompatible: features.incompatible,
    },
    erofs_formats: { default: formats.default, ...(extra.length === 0 ? {} : { extra }) },
  };
  return Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`);
}

/**
 * Reads `meta.json`. Unknown keys mean nothing; features may be missing; an unknown incompatible feature
 * is refused.
 *
 * @throws ComposefsError `repository-invalid`, with the reason alone.
 */
export function parseMetadata(bytes: Uint8Array): RepositoryMetadata {
  if (bytes.length > SIZE_MAX) throw invalid(`it has ${bytes.length} bytes`);
  const json = asObject("the file", parseJson(bytes));
  const { version } = json;
  if (typeof version !== "number" || !Number.isInteger(version) || version < 0) {
    throw invalid('"version" is not a whole number');
  }
  if (version > VERSION) throw tooNew(`version ${version} is not known`);
  const algorithm = parseAlgorithm(json["algorithm"]);
  const features = parseFeatures(json["features"]);
  if (features.incompatible.length > 0) {
    throw tooNew(`it needs ${features.incompatible.map((one) => JSON.stringify(one)).join(", ")}`);
  }
  return { algorithm, features, formats: parseFormats(json["erofs_formats"], features) };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid("it is not JSON", cause);
  }
}

function parseAlgorithm(value: unknown): FsVerityAlgorithm {
  const [, hash, lgBlockSize] =
    typeof value === "string" ? (/^fsverity-(\w+)-(\d+)$/.exec(value) ?? []) : [];
  if (hash === undefined) throw invalid('"algorithm" is none');
  if (hash !== "sha256" && hash !== "sha512") throw tooNew(`algorithm "${hash}" is not known`);
  if (Number(lgBlockSize) !== LG_BLOCK_SIZE) {
    throw tooNew(`fs-verity blocks of 2^${lgBlockSize} bytes are not known`);
  }
  return hash;
}

function parseFeatures(value: unknown): Features {
  const json = value === undefined ? {} : asObject('"features"', value);
  return {
    compatible: parseNames(json, "compatible"),
    readOnlyCompatible: parseNames(json, "read-only-compatible"),
    incompatible: parseNames(json, "incompatible"),
  };
}

function parseNames(json: Readonly<Record<string, unknown>>, key: string): string[] {
  const value = json[key] ?? [];
  const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
  if (!isList) throw invalid(`"${key}" is not a list of names`);
  return value;
}

/**
 * Older repositories tell their format by a feature alone. That a default of 2 without more is taken for
 * "not told" is so in composefs-rs, too.
 */
function parseFormats(value: unknown, features: Features): ErofsFormats {
  const legacy = features.readOnlyCompatible.includes(V1_EROFS) ? 1 : 2;
  if (value === undefined) return { default: legacy, extra: [] };
  const json = asObject('"erofs_formats"', value);
  const { extra = [] } = json;
  if (!Array.isArray(extra)) throw invalid('"extra" is not a list of versions');
  const versions = [...new Set(extra.map(parseVersion))].sort((a, b) => a - b);
  const version = parseVersion(json["default"]);
  return { default: version === 2 && versions.length === 0 ? legacy : version, extra: versions };
}

function parseVersion(value: unknown): FormatVersion {
  if (value === 0 || value === 1 || value === 2) return value;
  throw tooNew(`EROFS format ${JSON.stringify(value)} is not known`);
}

function asObject(what: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw invalid(`${what} is not an object`);
}

function invalid(reason: string, cause?: unknown): ComposefsError {
  const options = cause === undefined ? {} : { cause };
  return new ComposefsError("repository-invalid", `${META_JSON}: ${reason}`, options);
}

function tooNew(reason: string): ComposefsError {
  return new ComposefsError("repository-invalid", `${META_JSON}: ${reason}`, {
    hint: "a newer version of composefs may know it",
  });
}
