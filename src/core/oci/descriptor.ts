/**
 * Descriptors: how one document of OCI refers to another, or to a blob.
 *
 * Source: OCI image-spec 1.1, descriptor.md. Embedded `data` is not used: what a descriptor names is
 * read from where blobs are, and verified.
 */

import type { JsonValue } from "./json.ts";
import { shown } from "./json.ts";
import type { OciDigest } from "./oci-digest.ts";
import { isOciDigest } from "./oci-digest.ts";
import { readPlatform } from "./platform.ts";
import type { Platform } from "./platform.ts";

/** What a reference to content says of it. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: OciDigest;
  /** Bytes of the content. */
  readonly size: number;
  /** An object without a prototype; empty where there are none. */
  readonly annotations: Readonly<Record<string, string>>;
  /** In an index: what the manifest is for. */
  readonly platform?: Platform;
  readonly artifactType?: string;
}

/** Most annotations of one descriptor or document. */
export const ANNOTATIONS_MAX = 1000;
/** RFC 6838, section 4.2: twice 127 characters and a slash. */
const MEDIA_TYPE_LENGTH_MAX = 255;

/** Reads a descriptor. Throws `invalid-manifest`. */
export function readDescriptor(value: JsonValue): Descriptor {
  const digest = value.field("digest");
  const platform = value.optional("platform");
  const artifactType = value.optional("artifactType")?.text(MEDIA_TYPE_LENGTH_MAX);
  return {
    mediaType: value.field("mediaType").text(MEDIA_TYPE_LENGTH_MAX),
    digest: readOciDigest(digest),
    size: value.field("size").size(),
    annotations: value.texts("annotations", ANNOTATIONS_MAX),
    ...(platform === undefined ? {} : { platform: readPlatform(platform) }),
    ...(artifactType === undefined || artifactType === "" ? {} : { artifactType }),
  };
}

/** Reads a digest. Throws `invalid-manifest`. */
export function readOciDigest(value: JsonValue): OciDigest {
  const text = value.text();
  if (!isOciDigest(text)) throw value.invalid(`${shown(text)} is not a sha256 or sha512 digest`);
  return text;
}
