/** `composefs dump`. */

import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { dumpOfImageFile } from "../arguments/load-tree.ts";

/** Prints images in the dump format. */
export function run(invocation: Invocation, io: Io): number {
  for (const image of invocation.operands) {
    for (const piece of dumpOfImageFile(image, invocation.values("filter"))) io.out.bytes(piece);
  }
  return 0;
}
