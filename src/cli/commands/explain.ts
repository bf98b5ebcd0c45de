/** `composefs explain`. */

import { explainImage, formatExplained } from "../../core/erofs/explain.ts";
import type { ExplainedField } from "../../core/erofs/explain.ts";
import { EXIT } from "../exit.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { writeJsonArray } from "../output/json.ts";
import { withImageFile } from "../arguments/load-tree.ts";

/** Names every byte of an image; a failure if the image contradicts itself. */
export function run(invocation: Invocation, io: Io): number {
  let isSound = true;
  function* watched(fields: Iterable<ExplainedField>): Generator<ExplainedField> {
    for (const field of fields) {
      if (field.problem !== undefined) isSound = false;
      yield field;
    }
  }
  withImageFile(invocation.operands[0]!, (source) => {
    const fields = watched(explainImage(source));
    if (invocation.has("json")) writeJsonArray(io.out, fields);
    else for (const line of formatExplained(fields)) io.out.text(`${line}\n`);
  });
  return isSound ? EXIT.ok : EXIT.failure;
}
