/** `composefs untag`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { untagImage } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openRepository } from "../arguments/repository-options.ts";

/** Removes tags. */
export function run(invocation: Invocation, io: Io): number {
  const repository = openRepository(invocation, io, { writable: true });
  const untagged: string[] = [];
  try {
    for (const tag of invocation.operands) {
      untagImage(repository, tag);
      untagged.push(displayText(tag));
      if (!invocation.has("json")) io.out.text(`Removed tag ${displayText(tag)}\n`);
    }
    if (invocation.has("json")) io.out.text(`${JSON.stringify({ untagged })}\n`);
    return 0;
  } finally {
    repository.close();
  }
}
