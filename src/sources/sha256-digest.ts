/** The digest of what nobody has named yet. */

import { createHash } from "node:crypto";
import { formatOciDigest } from "../core/oci/oci-digest.ts";
import type { OciDigest } from "../core/oci/oci-digest.ts";

/** SHA-256 of the bytes as they are. */
export function sha256Digest(bytes: Uint8Array): OciDigest {
  return formatOciDigest("sha256", createHash("sha256").update(bytes).digest());
}
