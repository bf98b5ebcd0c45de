/**
 * Names of what belongs to OCI images in a repository: streams, references, and the references inside
 * streams.
 *
 * Source: composefs-rs 0.9, crate composefs-oci, modules lib and oci_image.
 */

import { byteString, displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FormatVersion } from "../../core/erofs/version.ts";
import { ComposefsError } from "../../core/errors.ts";
import { isOciDigest } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";

/** The stream of a manifest. */
export function manifestStreamName(digest: OciDigest): ByteString {
  return byteString(`${MANIFEST_PREFIX}${digest}`);
}

/** The stream of an image's config. */
export function configStreamName(digest: OciDigest): ByteString {
  return byteString(`oci-config-${digest}`);
}

/** The stream of a layer, by its diff ID; of what an artifact holds, by the digest of the blob. */
export function layerStreamName(diffId: OciDigest): ByteString {
  return byteString(`oci-layer-${diffId}`);
}

const MANIFEST_PREFIX = "oci-manifest-";

/** The manifest that a stream of this name, or a path to it, holds; `undefined` for another stream. */
export function manifestOfStreamName(path: ByteString): OciDigest | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (!name.startsWith(MANIFEST_PREFIX)) return undefined;
  const digest = name.slice(MANIFEST_PREFIX.length);
  return isOciDigest(digest) ? digest : undefined;
}

const TAG_PREFIX = "oci/";
const REFERRER_PREFIX = "oci-referrers/";

/** The reference that a tag is. Throws `invalid-reference` for a name that no tag can have. */
export function tagRef(tag: ByteString): ByteString {
  // `@` begins a digest. The other two would be a name of the file system.
  const isBad = tag === "" || tag.startsWith("@") || tag === "." || tag === ".." || /\0/.test(tag);
  if (isBad || encodeName(tag).length > NAME_MAX) {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot use "${displayText(tag)}" as a tag: not a name of 1 to ${NAME_MAX} bytes that begins with no @`,
    );
  }
  return `${TAG_PREFIX}${encodeName(tag)}` as ByteString;
}

const NAME_MAX = 255;

/** The tag that a reference is; `undefined` for one that is none. */
export function tagOfRef(ref: ByteString): ByteString | undefined {
  if (!ref.startsWith(TAG_PREFIX)) return undefined;
  const name = ref.slice(TAG_PREFIX.length);
  return name === "" || name.includes("/") ? undefined : decodeName(name as ByteString);
}

/** The reference by which a manifest that is about another one is found. */
export function referrerRef(subject: OciDigest, artifact: OciDigest): ByteString {
  return byteString(`${REFERRER_PREFIX}${subject}/${artifact}`);
}

/** The two manifests of such a reference; `undefined` for one that is none. */
export function referrerOfRef(
  ref: ByteString,
): { readonly subject: OciDigest; readonly artifact: OciDigest } | undefined {
  if (!ref.startsWith(REFERRER_PREFIX)) return undefined;
  const [subject = "", artifact = "", ...rest] = ref.slice(REFERRER_PREFIX.length).split("/");
  if (rest.length > 0 || !isOciDigest(subject) || !isOciDigest(artifact)) return undefined;
  return { subject, artifact };
}

/** `%` and `/`, and nothing else, are escaped. */
function encodeName(name: ByteString): ByteString {
  return name.replaceAll("%", "%25").replaceAll("/", "%2F") as ByteString;
}

/** Whatever follows another `%` stays as it is. */
function decodeName(name: ByteString): ByteString {
  return name.replace(/%(2F|25)/g, (_, code) => (code === "2F" ? "/" : "%")) as ByteString;
}

/** In a manifest's stream: the stream of its config. */
export function configRefName(digest: OciDigest): ByteString {
  return byteString(`config:${digest}`);
}

/** One of the EROFS images that are made of one OCI image. */
export interface ErofsVariant {
  readonly version: FormatVersion;
  readonly bootable: boolean;
  /** Of a bootable image only: it has the `user.` xattrs too. */
  readonly keepUserXattrs: boolean;
}

const IMAGE_PREFIX = "composefs.image";

/** In a config's stream: the EROFS image of a variant. V0 and V1 share a name. */
export function erofsRefName({ version, bootable, keepUserXattrs }: ErofsVariant): ByteString {
  const boot = bootable ? ".boot" : "";
  const epoch = version === 2 ? "" : ".v1";
  const xattrs = bootable && keepUserXattrs ? ".xattrs=keep-user-xattrs" : "";
  return byteString(`${IMAGE_PREFIX}${boot}${epoch}${xattrs}`);
}

/** Whether a name in a config's stream is that of an EROFS image. */
export function isErofsRefName(name: ByteString): boolean {
  return name === IMAGE_PREFIX || name.startsWith(`${IMAGE_PREFIX}.`);
}
