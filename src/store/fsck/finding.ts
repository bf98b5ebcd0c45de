/** What fsck finds, and its report. Kinds that composefs-rs knows have its names. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";

/** What can be wrong. */
export type FindingKind =
  | "metadata-parse-failed" //      meta.json cannot be used
  | "object-missing" //             something refers to it, and it is not there
  | "object-digest-mismatch" //     its content is another one
  | "object-verity-missing" //      it has no fs-verity, which is required
  | "object-open-failed" //         it cannot be opened or read
  | "broken-symlink" //             an entry or ref that leads to nothing
  | "stream-read-failed" //         a stream that contradicts itself
  | "image-invalid" //              an EROFS image that contradicts itself
  | "manifest-read-failed" //       what describes the image of a tag cannot be read, or is another one
  | "layer-stream-missing" //       a layer has no stream of its name
  | "layer-digest-mismatch" //      the archive that a layer's stream gives is not the one of its name
  | "erofs-mismatch" //             an EROFS image is not the one that its layers make
  | "seal-image-missing" //         the config names an image that is not there
  | "invalid-ref-name" //           a tag that could be taken for a digest
  | "unexpected-file"; //           a file that does not belong

/** One thing that is wrong. */
export interface Finding {
  readonly kind: FindingKind;
  /** Notes are about what does no harm. */
  readonly severity: "damage" | "note";
  /** Path in the repository. */
  readonly where: ByteString;
  readonly digest: FsVerityDigest | undefined;
  readonly detail: string;
}

/** An image that lacks something. */
export interface HurtImage {
  /** `refs/oci/NAME` of a tag, and so on; where no ref leads to it, `images/DIGEST`. */
  readonly name: ByteString;
  /** What describes it is damaged, not only files in it. */
  readonly isUnusable: boolean;
  /** Paths of the files whose content is damaged or missing: the first ones, in the order of the image. */
  readonly files: readonly ByteString[];
  /** How many there are. */
  readonly fileCount: number;
  /** What it lacks. */
  readonly objects: readonly FsVerityDigest[];
}

/** How much was checked, and how much of that is damaged. */
export interface Checked {
  checked: number;
  damaged: number;
}

/** Everything that was found. */
export interface FsckReport {
  /** No damage. */
  readonly ok: boolean;
  readonly objects: Readonly<Checked>;
  readonly streams: Readonly<Checked>;
  readonly images: Readonly<Checked>;
  readonly ociImages: Readonly<Checked>;
  readonly brokenLinks: number;
  readonly missingObjects: number;
  readonly findings: readonly Finding[];
  readonly hurt: readonly HurtImage[];
}
