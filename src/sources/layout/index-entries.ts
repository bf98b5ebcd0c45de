/**
 * The index of a layout that is written to: entries are added and replaced, all else stays as it was.
 */

import type { Descriptor } from "../../core/oci/descriptor.ts";
import { parseIndex } from "../../core/oci/image-index.ts";
import { MEDIA_TYPE } from "../../core/oci/media-type.ts";
import { REF_NAME_ANNOTATION } from "./layout-reference.ts";

/** What stands in `oci-layout`. */
export const OCI_LAYOUT_CONTENT: Uint8Array = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

/** A manifest to be listed. */
export interface IndexEntry {
  readonly descriptor: Omit<Descriptor, "annotations">;
  readonly tag: string | undefined;
}

/**
 * Returns the index with the entries. A tag belongs to one entry: an older one with the same tag goes;
 * one with the same digest and no tag is not listed twice. Throws `invalid-manifest`.
 */
export function addIndexEntries(
  bytes: Uint8Array | undefined,
  entries: readonly IndexEntry[],
): Uint8Array {
  const index = bytes === undefined ? newIndex() : readIndex(bytes);
  let manifests = index["manifests"] as readonly KnownEntry[];
  for (const { descriptor, tag } of entries) {
    manifests = [
      ...manifests.filter((one) => {
        const oldTag = one.annotations?.[REF_NAME_ANNOTATION];
        return oldTag !== tag || (tag === undefined && one.digest !== descriptor.digest);
      }),
      tag === undefined
        ? descriptor
        : { ...descriptor, annotations: { [REF_NAME_ANNOTATION]: tag } },
    ];
  }
  return Buffer.from(JSON.stringify({ ...index, manifests }));
}

interface KnownEntry {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>> | null;
}

function newIndex(): Record<string, unknown> {
  return { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] };
}

function readIndex(bytes: Uint8Array): Record<string, unknown> {
  parseIndex(bytes);
  const index = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  return { ...index, manifests: index["manifests"] ?? [] };
}
