/** Opens the places that images are written to, by their names. */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import { shown } from "../core/oci/json.ts";
import { openArchiveTarget } from "./archive/archive-target.ts";
import type { ImageTarget } from "./image-source.ts";
import { openLayoutTarget } from "./layout/directory-target.ts";
import { parseLayoutReference } from "./layout/layout-reference.ts";
import { openRegistryTarget } from "./registry/mod.ts";
import type { RegistryTargetOptions } from "./registry/mod.ts";
import { parseTransport } from "./transport.ts";

/** Options of {@link openImageTarget}; each transport takes those that mean something to it. */
export interface OpenTargetOptions {
  readonly registry?: RegistryTargetOptions | undefined;
}

/**
 * Opens a target by its name: `oci:PATH[:TAG]`, `oci-archive:PATH[:TAG]`, or `docker://` or nothing for a
 * registry. Paths in it are bytes: one in each code unit. Throws `invalid-reference`, `output-failed`,
 * `invalid-config`, SyscallError.
 */
export async function openImageTarget(
  text: string,
  options: OpenTargetOptions = {},
): Promise<ImageTarget> {
  const { transport, place } = parseTransport(text);
  if (transport === "docker") return openRegistryTarget(place, options.registry);
  const name = displayText(text as ByteString);
  if (transport !== "oci" && transport !== "oci-archive") {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot write image to ${shown(text)}: nothing is written there`,
      { hint: "write to a registry, oci:DIRECTORY or oci-archive:FILE" },
    );
  }
  const { path, reference } = parseLayoutReference(place);
  if (reference.kind !== "any" && reference.kind !== "tag") {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot write image to ${shown(text)}: where it goes is named by a tag`,
    );
  }
  const tag = reference.kind === "tag" ? reference.tag : undefined;
  const open = transport === "oci" ? openLayoutTarget : openArchiveTarget;
  return open(path as ByteString, tag, name);
}
