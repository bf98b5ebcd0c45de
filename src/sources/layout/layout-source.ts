/**
 * Images in an OCI layout: a directory, or an archive of one.
 *
 * Source: OCI image-spec 1.1, image-layout.md.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseOciDocument } from "../../core/oci/document.ts";
import { parseIndex } from "../../core/oci/image-index.ts";
import type { ImageIndex } from "../../core/oci/image-index.ts";
import { parseJsonDocument } from "../../core/oci/json.ts";
import { MANIFEST_SIZE_MAX, parseManifest } from "../../core/oci/manifest.ts";
import { isIndexMediaType, isManifestMediaType } from "../../core/oci/media-type.ts";
import { ociDigestAlgorithm, ociDigestHex } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { corruptArchive, readFilePart, readImageFile } from "../image-files.ts";
import type { ImageFiles, OpenFilePart } from "../image-files.ts";
import type { BlobRange, ImageSource, ResolvedImage, SourceCallOptions } from "../image-source.ts";
import { sha256Digest } from "../sha256-digest.ts";
import { mismatch, readVerified, verifyContent } from "../verify-content.ts";
import { findInLayout } from "./layout-reference.ts";
import type { LayoutReference } from "./layout-reference.ts";

const OCI_LAYOUT = "oci-layout" as ByteString;
const INDEX_JSON = "index.json" as ByteString;
const OCI_LAYOUT_SIZE_MAX = 1 << 16;
/** A layout may hold more images than a registry's index. */
const INDEX_SIZE_MAX = 1 << 24;
/** Manifests that are looked into for what they are about. */
const REFERRERS_READ_MAX = 1000;

/** The path of a blob in a layout. */
function layoutBlobPath(digest: OciDigest): ByteString {
  return `blobs/${ociDigestAlgorithm(digest)}/${ociDigestHex(digest)}` as ByteString;
}

/** Reads and checks the two files of a layout that are no blobs. */
async function readLayoutIndex(
  files: ImageFiles,
): Promise<{ readonly bytes: Uint8Array; readonly index: ImageIndex }> {
  const layout = await readImageFile(files, OCI_LAYOUT, OCI_LAYOUT_SIZE_MAX);
  if (layout === undefined) throw corruptArchive(files.name, "oci-layout is missing");
  const version = parseJsonDocument("OCI layout", layout).field("imageLayoutVersion");
  if (!version.text().startsWith("1.")) throw version.invalid("is not 1");
  const bytes = await readImageFile(files, INDEX_JSON, INDEX_SIZE_MAX);
  if (bytes === undefined) throw corruptArchive(files.name, "index.json is missing");
  return { bytes, index: parseIndex(bytes) };
}

/** An image of a layout. It owns `files`. */
export class LayoutSource implements ImageSource {
  readonly name: string;
  readonly #files: ImageFiles;
  readonly #reference: LayoutReference;

  constructor(files: ImageFiles, reference: LayoutReference) {
    this.name = files.name;
    this.#files = files;
    this.#reference = reference;
  }

  async resolve(options: SourceCallOptions = {}): Promise<ResolvedImage> {
    const { bytes, index } = await readLayoutIndex(this.#files);
    const found = findInLayout(index, this.#reference, this.name);
    if (found === "index") {
      const digest = sha256Digest(bytes);
      const { mediaType } = index;
      return { descriptor: { mediaType, digest, size: bytes.length, annotations: {} }, bytes };
    }
    if (found.mediaType === "") return this.#readUntold(found.digest, options);
    if (!isManifestMediaType(found.mediaType) && !isIndexMediaType(found.mediaType)) {
      throw new ComposefsError(
        "unsupported-media-type",
        `Cannot read image "${this.name}": it is neither a manifest nor an index`,
      );
    }
    return { descriptor: found, bytes: await this.readManifest(found, options) };
  }

  async readManifest(descriptor: Descriptor, options: SourceCallOptions = {}): Promise<Uint8Array> {
    const part = this.#open(descriptor);
    try {
      const content = readFilePart(part, options.signal);
      return await readVerified(content, descriptor, this.name, MANIFEST_SIZE_MAX);
    } finally {
      part.close();
    }
  }

  async *openBlob(
    descriptor: Descriptor,
    options: SourceCallOptions = {},
  ): AsyncGenerator<Uint8Array, void> {
    const part = this.#open(descriptor);
    try {
      yield* verifyContent(readFilePart(part, options.signal), descriptor, this.name);
    } finally {
      part.close();
    }
  }

  async *openRanges(
    descriptor: Descriptor,
    ranges: readonly BlobRange[],
    options: SourceCallOptions = {},
  ): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }, void> {
    const part = this.#open(descriptor);
    try {
      for (const range of ranges) {
        if (range.offset + range.length > part.size) {
          throw mismatch(descriptor, this.name, "a range lies behind its end");
        }
        const { fd } = part;
        const place = { fd, offset: part.offset + range.offset, size: range.length };
        let { offset } = range;
        for await (const bytes of readFilePart(place, options.signal)) {
          yield { offset, bytes };
          offset += bytes.length;
        }
      }
    } finally {
      part.close();
    }
  }

  /** Looks into the manifests of the index, since a layout has no list of them. */
  async referrers(
    subject: OciDigest,
    options: SourceCallOptions & { readonly artifactType?: string } = {},
  ): Promise<Descriptor[]> {
    const { index } = await readLayoutIndex(this.#files);
    const found: Descriptor[] = [];
    for (const descriptor of index.manifests.slice(0, REFERRERS_READ_MAX)) {
      if (!isManifestMediaType(descriptor.mediaType)) continue;
      const bytes = await this.readManifest(descriptor, options);
      const manifest = parseManifest(bytes, descriptor.mediaType);
      if (manifest.subject?.digest !== subject) continue;
      const artifactType = manifest.artifactType ?? manifest.config.mediaType;
      if (options.artifactType !== undefined && options.artifactType !== artifactType) continue;
      found.push({ ...descriptor, artifactType, annotations: manifest.annotations });
    }
    return found;
  }

  async close(): Promise<void> {
    this.#files.close();
  }

  async #readUntold(digest: OciDigest, options: SourceCallOptions): Promise<ResolvedImage> {
    const part = this.#files.open(layoutBlobPath(digest));
    if (part === undefined) throw this.#missing(digest);
    const { size } = part;
    part.close();
    const descriptor = { mediaType: "", digest, size, annotations: {} };
    const bytes = await this.readManifest(descriptor, options);
    const { mediaType } = parseOciDocument(bytes);
    return { descriptor: { ...descriptor, mediaType }, bytes };
  }

  #open(descriptor: Descriptor): OpenFilePart {
    const part = this.#files.open(layoutBlobPath(descriptor.digest));
    if (part === undefined) throw this.#missing(descriptor.digest);
    if (part.size === descriptor.size) return part;
    part.close();
    const reason = `it has ${part.size} bytes instead of ${descriptor.size}`;
    throw mismatch(descriptor, this.name, reason);
  }

  #missing(digest: OciDigest): ComposefsError {
    return corruptArchive(this.name, `blob ${digest} is missing`);
  }
}
