/** Makes the EROFS images of an OCI image again, out of the layers that the repository has. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { computeFsVerityDigest } from "../../core/fsverity/hasher.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import type { FormatVersion } from "../../core/erofs/version.ts";
import type { Directory } from "../../core/tree/node.ts";
import { blockHash } from "../../floor/mod.ts";
import type { Repository } from "../repository.ts";
import { writeErofsImages } from "./compose.ts";
import type { OciImage } from "./image.ts";
import { composeImage } from "./repository-layer.ts";

/** An EROFS image that was made again. */
export interface RegeneratedErofs {
  /** Its name in the config's stream. */
  readonly name: ByteString;
  /** The digest that the config's stream has. */
  readonly wanted: FsVerityDigest;
  /** What was made: that digest, or else the last that was tried. */
  readonly digest: FsVerityDigest;
  readonly bytes: Uint8Array;
}

/**
 * Yields each EROFS image of an OCI image, made again, in the order of the names. Throws where a layer is
 * damaged.
 */
export function* regenerateErofs(
  repo: Repository,
  image: OciImage,
  decompression: Decompression,
): Generator<RegeneratedErofs, void> {
  const hash = blockHash(repo.algorithm);
  for (const [name, wanted] of [...image.erofs].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    let made: RegeneratedErofs | undefined;
    for (const { root, version } of attempts(repo, image, name, decompression)) {
      const bytes = writeErofsImages(root, [version]).get(version)!;
      made = { name, wanted, digest: computeFsVerityDigest(bytes, hash), bytes };
      if (made.digest === wanted) break;
    }
    yield made!;
  }
}

/** V0 and V1 share a name. */
function* attempts(
  repo: Repository,
  image: OciImage,
  name: ByteString,
  decompression: Decompression,
): Generator<{ readonly root: Directory; readonly version: FormatVersion }, void> {
  const root = composeImage(repo, image, decompression, {
    bootable: name.startsWith("composefs.image.boot"),
    keepUserXattrs: name.endsWith(".xattrs=keep-user-xattrs"),
  });
  const versions: readonly FormatVersion[] = name.includes(".v1") ? [1, 0] : [2];
  for (const version of versions) yield { root, version };
}
