/** How repair gets back what is nowhere on this machine. The room `sources` implements it. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { OciImage } from "../oci/image.ts";
import type { GoodContent } from "./replace-object.ts";

/** A tag and what it names. */
export interface TaggedImage {
  readonly tag: ByteString;
  readonly manifestDigest: OciDigest;
}

/** Gets images, or parts of them, from where they came from. */
export interface ObjectFetcher {
  /**
   * Yields content out of the layers of an image that may be one of the wanted objects, valid until the
   * next one is asked for. Nothing of it is believed before it is hashed.
   */
  fetchObjects(
    image: OciImage,
    tag: ByteString,
    wanted: ReadonlySet<FsVerityDigest>,
  ): AsyncIterable<GoodContent>;
  /** Pulls an image again, whose streams were removed because they could not be read. */
  fetchImage(image: TaggedImage): Promise<void>;
}
