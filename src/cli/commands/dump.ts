/** `composefs dump`. */

import { formatDump } from "../../core/dump/format.ts";
import type { Invocation } from "../invocation.ts";
import type { Io } from "../io.ts";
import { readImageFile } from "../load-tree.ts";

/** Prints images in the dump format. */
export function run(invocation: Invocation, io: Io): number {
  for (const image of invocation.operands) {
    const { root } = readImageFile(image, invocation.values("filter"));
    for (const piece of formatDump(root)) io.out.text(piece);
  }
  return 0;
}
