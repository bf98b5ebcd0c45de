/** `composefs umount`. */

import { unmount } from "../../mount/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";

/** Unmounts an image. */
export function run(invocation: Invocation): number {
  unmount(invocation.operands[0]!);
  return 0;
}
