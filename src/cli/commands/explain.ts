/** `composefs explain`. */

import { explainImage, formatExplained } from "../../core/erofs/explain.ts";
import type { Invocation } from "../invocation.ts";
import type { Io } from "../io.ts";
import { writeJsonArray } from "../json.ts";
import { withImageFile } from "../load-tree.ts";

/** Names every byte of an image. */
export function run(invocation: Invocation, io: Io): number {
  withImageFile(invocation.operands[0]!, (source) => {
    const fields = explainImage(source);
    if (invocation.has("json")) writeJsonArray(io.out, fields);
    else for (const line of formatExplained(fields)) io.out.text(`${line}\n`);
  });
  return 0;
}
