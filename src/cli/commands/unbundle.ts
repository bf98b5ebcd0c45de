/** `composefs unbundle`. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { removeBundle } from "../../store/bundle/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";

/** Unmounts and removes an OCI runtime bundle. */
export function run(invocation: Invocation): number {
  const [directory] = invocation.operands as readonly [ByteString];
  removeBundle(directory, { keepChanges: invocation.has("keep-changes") });
  return 0;
}
