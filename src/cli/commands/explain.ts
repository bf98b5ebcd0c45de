/** `composefs explain`. */

import { explainImage } from "../../core/erofs/explain.ts";
import type { Invocation } from "../invocation.ts";
import type { Io } from "../io.ts";
import { writeJsonArray } from "../json.ts";
import { withImageFile } from "../load-tree.ts";

/** Names every byte of an image. */
export function run(invocation: Invocation, io: Io): number {
  withImageFile(invocation.operands[0]!, (source) => {
    const fields = explainImage(source);
    if (invocation.has("json")) {
      writeJsonArray(io.out, fields);
      return;
    }
    for (const { offset, length, structure, field, value } of fields) {
      const place = `${offset.toString(16).padStart(8, "0")} ${String(length).padStart(6)}`;
      io.out.text(`${place}  ${structure}.${field} = ${value}\n`);
    }
  });
  return 0;
}
