/**
 * Names of images in podman's storage: `[DRIVER@GRAPHROOT+RUNROOT:OPTIONS]NAME`, where the part in brackets
 * may be missing, and so may all of it but the graph root. NAME is a name, an ID, or the start of one.
 *
 * Source: containers-transports(5), containers-storage.
 */

import { ComposefsError } from "../../core/errors.ts";
import { shown } from "../../core/oci/json.ts";
import { isOciDigest } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";

/** A name, split. */
export interface StorageReference {
  readonly driver: string | undefined;
  readonly graphRoot: string | undefined;
  readonly image: string;
}

const STORE =
  /^\[(?:(?<driver>[a-z0-9]+)@)?(?<root>\/[^\]+:]*)(?:\+[^\]:]*)?(?::[^\]]*)?\](?<image>.*)$/s;
/** Shorter ones are taken for names. */
const ID_START = /^[0-9a-f]{7,64}$/;

/** Splits a name. Throws `invalid-reference`. */
export function parseStorageReference(text: string): StorageReference {
  const groups = STORE.exec(text)?.groups;
  const image = groups === undefined ? text : groups["image"]!;
  if (image === "" || image.startsWith("[")) {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot parse image name ${shown(text)}: not NAME or [DRIVER@GRAPHROOT+RUNROOT]NAME`,
    );
  }
  return { driver: groups?.["driver"], graphRoot: groups?.["root"], image };
}

/** What of an image says whether it is meant. */
export interface NamedImage {
  readonly id: string;
  readonly names: readonly string[];
  readonly digests: readonly OciDigest[];
}

/** Whether an image is the one that is meant; `"perhaps"` where only the start of its ID was given. */
export function matchesStorageName(wanted: string, image: NamedImage): boolean | "perhaps" {
  const at = wanted.lastIndexOf("@");
  const behind = at < 0 ? "" : wanted.slice(at + 1);
  if (isOciDigest(behind)) {
    const name = wanted.slice(0, at);
    const isNamed = image.names.some((one) => withoutTag(one) === withoutTag(fullNames(name)[0]!));
    return image.digests.includes(behind) && (name === "" || isNamed || image.names.length === 0);
  }
  // `NAME@ID` and `@ID`: the ID decides.
  const idWanted = at < 0 ? wanted : behind;
  if (idWanted.replace(/^sha256:/, "") === image.id) return true;
  if (at >= 0) return false;
  if (fullNames(wanted).some((name) => image.names.includes(name))) return true;
  return ID_START.test(wanted) && image.id.startsWith(wanted) ? "perhaps" : false;
}

/** The names that a short one may stand for: as it is, of this machine, of Docker's registry. */
function fullNames(name: string): string[] {
  const slash = name.lastIndexOf("/");
  const tagged = name.includes(":", slash + 1) ? name : `${name}:latest`;
  const [first = ""] = tagged.split("/");
  const hasRegistry =
    slash >= 0 && (first.includes(".") || first.includes(":") || first === "localhost");
  if (hasRegistry) return [tagged];
  const library = slash < 0 ? "library/" : "";
  return [`docker.io/${library}${tagged}`, `localhost/${tagged}`, tagged];
}

function withoutTag(name: string): string {
  const colon = name.indexOf(":", name.lastIndexOf("/") + 1);
  return colon < 0 ? name : name.slice(0, colon);
}
