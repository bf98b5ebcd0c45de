/**
 * A manifest with other layers: the same image, stored in another way. Everything that is not about how
 * layers are stored stays, what is not known here as well.
 */

import type { Descriptor } from "./descriptor.ts";
import { decodeUtf8 } from "../bytes/utf8.ts";
import { byteString, bytesOf } from "../bytes/byte-string.ts";
import { parseManifest } from "./manifest.ts";
import { MEDIA_TYPE, isConfigMediaType } from "./media-type.ts";

/** Annotations of podman's that tell where something lies in the blob of a layer. */
const CHUNKED_PREFIX = "io.github.containers.zstd-chunked.";
/** What belongs to the blob and not to its content: copies of it, and places to get it. */
const OF_THE_BLOB = ["data", "urls"];

/**
 * Returns the bytes of an OCI manifest with these layers, one for each that the manifest has; those that
 * are as they were keep their descriptors, others get the annotations of theirs besides the old ones.
 * Throws `invalid-manifest`.
 */
export function rewriteManifest(bytes: Uint8Array, layers: readonly Descriptor[]): Uint8Array {
  const known = parseManifest(bytes);
  const root = JSON.parse(decodeUtf8(bytes)!) as {
    readonly layers: readonly Readonly<Record<string, unknown>>[];
    readonly config: object;
  };
  const rewritten = {
    ...root,
    mediaType: MEDIA_TYPE.ociManifest,
    config: isConfigMediaType(known.config.mediaType)
      ? { ...root.config, mediaType: MEDIA_TYPE.ociConfig }
      : root.config,
    layers: known.layers.map((old, i) => {
      const { mediaType, digest, size, annotations: added } = layers[i]!;
      const stored = root.layers[i]!;
      if (digest === old.digest) return { ...stored, mediaType };
      const kept = Object.entries(stored).filter(([name]) => !OF_THE_BLOB.includes(name));
      const stays = Object.entries(old.annotations).filter(
        ([name]) => !name.startsWith(CHUNKED_PREFIX),
      );
      const annotations = [...stays, ...Object.entries(added)];
      const { annotations: _, ...rest } = Object.fromEntries(kept);
      return {
        ...rest,
        mediaType,
        digest,
        size,
        ...(annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
      };
    }),
  };
  return bytesOf(byteString(JSON.stringify(rewritten)));
}
