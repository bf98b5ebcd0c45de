/**
 * `manifest.json` of what `docker save` writes: which images there are, and where their config and layers
 * lie. It has no digests: those of the layers are in the config, as diff IDs.
 *
 * Source: moby, docker save (image/tarexport), and containers-transports(5).
 */

import { byteString } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { parseJsonDocument, shown } from "../../core/oci/json.ts";
import type { JsonValue } from "../../core/oci/json.ts";
import type { FileReference } from "../file-reference.ts";
import { corruptArchive } from "../image-files.ts";

/** One image of an archive. */
export interface DockerImage {
  /** `name:tag`, as they stand. */
  readonly tags: readonly string[];
  readonly configPath: ByteString;
  /** The lowest first. */
  readonly layerPaths: readonly ByteString[];
}

const IMAGES_MAX = 10_000;
const TAGS_MAX = 10_000;
const LAYERS_MAX = 1024;
const PATH_LENGTH_MAX = 4095;
const LISTED_MAX = 20;

/** Parses `manifest.json`. Throws `invalid-manifest`. */
export function parseDockerManifest(bytes: Uint8Array): DockerImage[] {
  const root = parseJsonDocument("manifest.json of archive", bytes);
  return root.items(IMAGES_MAX).map((image) => ({
    tags: image.list("RepoTags", TAGS_MAX).map((tag) => tag.text()),
    configPath: readPath(image.field("Config")),
    layerPaths: image.list("Layers", LAYERS_MAX).map(readPath),
  }));
}

/** Finds an image. Throws `corrupt-archive` and `invalid-reference`. */
export function findDockerImage(
  images: readonly DockerImage[],
  reference: FileReference,
  name: string,
): DockerImage {
  const [first, second] = images;
  if (first === undefined) throw corruptArchive(name, "it has no image");
  switch (reference.kind) {
    case "any":
      if (second === undefined) return first;
      throw missing(images, name, "it has several images, and none was named");
    case "place": {
      const found = images[reference.place];
      if (found === undefined) throw missing(images, name, `it has no place ${reference.place}`);
      return found;
    }
    case "tag": {
      const wanted = fullName(reference.tag);
      const found = images.filter(({ tags }) => tags.some((tag) => fullName(tag) === wanted));
      if (found[0] === undefined) {
        throw missing(images, name, `no image has the name ${shown(reference.tag)}`);
      }
      if (found.length === 1) return found[0];
      throw corruptArchive(name, `several images have the name ${shown(reference.tag)}`);
    }
  }
}

/** Docker leaves out what it adds itself when it reads a name. */
function fullName(name: string): string {
  const slash = name.lastIndexOf("/");
  const tagged = name.includes(":", slash + 1) ? name : `${name}:latest`;
  return tagged.replace(/^docker\.io\/(?:library\/)?/, "");
}

function readPath(value: JsonValue): ByteString {
  return byteString(value.text(PATH_LENGTH_MAX));
}

function missing(images: readonly DockerImage[], name: string, reason: string): ComposefsError {
  const tags = images.flatMap((image) => image.tags.map(shown)).slice(0, LISTED_MAX);
  return new ComposefsError(
    "invalid-reference",
    `Cannot find image in "${name}": ${reason}`,
    tags.length === 0 ? {} : { hint: `it has ${tags.join(", ")}` },
  );
}
