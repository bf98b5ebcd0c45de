/** `composefs digest`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { writeJsonArray } from "../output/json.ts";
import { measureFile } from "../tasks/measure.ts";
import type { MeasureOptions } from "../tasks/measure.ts";

/** Prints the fs-verity digests of files. */
export function run(invocation: Invocation, io: Io): number {
  const options = measureOptions(invocation);
  if (invocation.has("json")) {
    writeJsonArray(io.out, measureAll(invocation, options));
    return 0;
  }
  for (const { path, digest } of measureAll(invocation, options)) {
    io.out.text(`${digest}  ${path}\n`);
  }
  return 0;
}

function measureOptions(invocation: Invocation): MeasureOptions {
  const algorithm = invocation.value("algorithm") === "sha512" ? "sha512" : "sha256";
  const blockSize = invocation.integer("block-size", 1024, 65536) ?? 4096;
  if (!Number.isInteger(Math.log2(blockSize))) {
    throw new ComposefsError("usage", `Cannot use block size ${blockSize}: not a power of two`);
  }
  return { algorithm, blockSize };
}

function* measureAll(invocation: Invocation, options: MeasureOptions) {
  for (const operand of invocation.operands) {
    yield { path: displayText(operand), ...options, ...measureFile(operand, options) };
  }
}
