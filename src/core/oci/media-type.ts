/**
 * Media types of OCI, and of Docker's second manifest schema, which is the same by other names.
 *
 * Source: OCI image-spec 1.1, media-types.md, with its table of compatible types.
 */

/** Media types of documents. */
export const MEDIA_TYPE = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerManifestList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
} as const;

/** How a layer's archive is compressed. */
export type LayerCompression = "none" | "gzip" | "zstd";

const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar)(?:[.+](?<compression>gzip|zstd))?$/;

/** Whether a document of this type is a manifest of one image or artifact. */
export function isManifestMediaType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.ociManifest || mediaType === MEDIA_TYPE.dockerManifest;
}

/** Whether a document of this type is an index of manifests. */
export function isIndexMediaType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.ociIndex || mediaType === MEDIA_TYPE.dockerManifestList;
}

/** Whether a blob of this type is the config of an image. */
export function isConfigMediaType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.ociConfig || mediaType === MEDIA_TYPE.dockerConfig;
}

/** How a layer of this type is compressed; `undefined` for what is not the archive of a layer. */
export function layerCompression(mediaType: string): LayerCompression | undefined {
  const match = LAYER.exec(mediaType);
  if (match === null) return undefined;
  return (match.groups?.["compression"] as LayerCompression | undefined) ?? "none";
}

/** The OCI media type of a layer. */
export function layerMediaType(compression: LayerCompression): string {
  return compression === "none" ? MEDIA_TYPE.ociLayer : `${MEDIA_TYPE.ociLayer}+${compression}`;
}
