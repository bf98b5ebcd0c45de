/**
 * Names of images as `TRANSPORT:PLACE`.
 *
 * Source: containers-transports(5). A name without a transport is one of a registry.
 */

import { ComposefsError } from "../core/errors.ts";
import { shown } from "../core/oci/json.ts";

/** The transports that are known here. */
export type Transport = "docker" | "oci" | "oci-archive" | "docker-archive" | "containers-storage";

/** A name, split. */
export interface TransportName {
  readonly transport: Transport;
  /** What stands behind the colon; of a registry without `//`. */
  readonly place: string;
}

const LOCAL = /^(?<transport>oci|oci-archive|docker-archive|containers-storage):(?<place>.*)$/s;
/** Of skopeo; taken for host names they would make strange errors. */
const FOREIGN = /^(?:dir|docker-daemon|ostree|tarball|sif|atomic|docker):/;

/** Splits a name. Throws `invalid-reference`. */
export function parseTransport(text: string): TransportName {
  if (text.startsWith("docker://")) return { transport: "docker", place: text.slice(9) };
  const { transport, place } = LOCAL.exec(text)?.groups ?? {};
  if (transport !== undefined && place !== undefined) {
    return { transport: transport as Transport, place };
  }
  if (FOREIGN.test(text) || /^[./]/.test(text)) {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot parse image name ${shown(text)}: its transport is not known`,
      {
        hint: "known are docker://, oci:, oci-archive:, docker-archive: and containers-storage:",
      },
    );
  }
  return { transport: "docker", place: text };
}
