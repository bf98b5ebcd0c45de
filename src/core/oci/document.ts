/**
 * What manifests and indexes have in common: a schema version, a media type that must be the one that was
 * told, and that nothing can be taken for both.
 *
 * Source: OCI image-spec 1.1, manifest.md and image-index.md; CVE-2021-41190 for documents that are both.
 */

import { ComposefsError } from "../errors.ts";
import { parseJsonDocument, shown } from "./json.ts";
import type { JsonValue } from "./json.ts";
import { MEDIA_TYPE, isIndexMediaType, isManifestMediaType } from "./media-type.ts";

const DOCKER_SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/** A manifest or index whose kind is known. */
export interface OciDocument {
  readonly kind: "manifest" | "index";
  readonly mediaType: string;
  readonly root: JsonValue;
}

/**
 * Finds out what a document is. `mediaType` is what the reference to it, or a server, said. Throws
 * `invalid-manifest`, and `unsupported-media-type` for what is neither manifest nor index.
 */
export function parseOciDocument(bytes: Uint8Array, mediaType?: string): OciDocument {
  const root = parseJsonDocument("OCI manifest", bytes);
  const inside = root.optional("mediaType")?.text();
  if (mediaType !== undefined && inside !== undefined && inside !== mediaType) {
    throw root.invalid(`it says that it is ${shown(inside)}, and not ${shown(mediaType)}`);
  }
  const told = mediaType ?? inside;
  const kind = told === undefined ? kindByContent(root) : kindByMediaType(told);
  const other = kind === "index" ? ["config", "layers"] : ["manifests"];
  for (const name of other) {
    if (root.optional(name) !== undefined) throw root.invalid(`it has ${name}, as no ${kind} has`);
  }
  const version = root.field("schemaVersion");
  if (version.size() !== 2) throw version.invalid("is not 2");
  const byKind = { manifest: MEDIA_TYPE.ociManifest, index: MEDIA_TYPE.ociIndex };
  return { kind, mediaType: told ?? byKind[kind], root };
}

function kindByContent(root: JsonValue): "manifest" | "index" {
  if (root.optional("fsLayers") !== undefined) throw unsupported("Docker's first schema");
  if (root.optional("manifests") !== undefined) return "index";
  if (root.optional("config") !== undefined) return "manifest";
  throw root.invalid("it has neither config nor manifests");
}

function kindByMediaType(mediaType: string): "manifest" | "index" {
  if (isManifestMediaType(mediaType)) return "manifest";
  if (isIndexMediaType(mediaType)) return "index";
  throw unsupported(
    DOCKER_SCHEMA_1.test(mediaType) ? "Docker's first schema" : `of type ${shown(mediaType)}`,
  );
}

function unsupported(what: string): ComposefsError {
  return new ComposefsError(
    "unsupported-media-type",
    `Cannot read OCI manifest: it is ${what}, which is not known here`,
  );
}
