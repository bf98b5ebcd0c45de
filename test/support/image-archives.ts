/** Archives of images as OCI and Docker lay them out. */

import { ociDigestAlgorithm, ociDigestHex } from "#src/core/mod.ts";
import type { LayerCompression } from "#src/core/mod.ts";
import { ociDigestOf } from "./oci-documents.ts";
import { compressLayer } from "./oci-image.ts";
import type { TestImage } from "./oci-image.ts";
import { archive, header, member, pax } from "./tar-bytes.ts";

/** The members of an OCI layout, blobs first. */
export function ociArchiveMembers(image: TestImage, tag?: string): Buffer[] {
  const annotations = tag === undefined ? {} : { "org.opencontainers.image.ref.name": tag };
  const manifests = [{ ...image.descriptor, annotations }];
  return [
    member({ name: "blobs/", typeflag: "5", mode: 0o755 }),
    ...[...image.blobs].map(([digest, bytes]) =>
      longMember(`blobs/${ociDigestAlgorithm(digest)}/${ociDigestHex(digest)}`, bytes),
    ),
    member({ name: "index.json" }, JSON.stringify({ schemaVersion: 2, manifests })),
    member({ name: "oci-layout" }, '{"imageLayoutVersion":"1.0.0"}'),
  ];
}

function longMember(name: string, bytes: Uint8Array): Buffer {
  if (name.length <= 100) return member({ name }, bytes);
  return Buffer.concat([pax([["path", name]]), member({}, bytes)]);
}

/** An OCI layout as an archive. */
export function ociArchive(image: TestImage, tag?: string): Buffer {
  return archive(...ociArchiveMembers(image, tag));
}

/** How `docker save` writes layers, by its age. */
export type DockerStyle = "directories" | "blobs";

/** What `docker save` writes. Layers that are there twice are links, as it makes them. */
export async function dockerArchive(
  image: TestImage,
  options: { style?: DockerStyle; compression?: LayerCompression; tags?: readonly string[] } = {},
): Promise<Buffer> {
  const { style = "directories", compression = "none", tags = ["example/image:v1"] } = options;
  const members: Buffer[] = [];
  const paths = new Map<string, string>();
  const layers: string[] = [];
  for (const [i, layer] of image.layers.entries()) {
    const bytes = await compressLayer(layer, compression);
    const hex = ociDigestHex(ociDigestOf(bytes));
    const known = paths.get(hex);
    let name = `blobs/sha256/${hex}`;
    if (style === "directories") {
      const id = ociDigestHex(ociDigestOf(`${i}`));
      name = `${id}/layer.tar`;
      members.push(member({ name: `${id}/`, typeflag: "5", mode: 0o755 }));
      members.push(member({ name: `${id}/VERSION` }, "1.0"));
    }
    layers.push(name);
    if (known === undefined) members.push(member({ name }, bytes));
    else if (style === "directories") {
      members.push(
        i % 2 === 0
          ? header({ name, typeflag: "1", linkname: known })
          : header({ name, typeflag: "2", linkname: `../${known}` }),
      );
    }
    paths.set(hex, name);
  }
  const hex = ociDigestHex(ociDigestOf(image.config));
  const config = style === "directories" ? `${hex}.json` : `blobs/sha256/${hex}`;
  members.push(member({ name: config }, image.config));
  const list = [{ Config: config, RepoTags: tags, Layers: layers }];
  members.push(member({ name: "manifest.json" }, JSON.stringify(list)));
  members.push(member({ name: "repositories" }, "{}"));
  return archive(...members);
}
