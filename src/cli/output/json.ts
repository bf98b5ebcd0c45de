/**
 * JSON on standard output: one array for each command, an element to a line, written as it comes.
 */

import type { Output } from "./output.ts";

/** Writes an array, with one line for each element. */
export function writeJsonArray(out: Output, elements: Iterable<unknown>): void {
  let before = "[";
  for (const element of elements) {
    out.text(`${before}\n${JSON.stringify(element)}`);
    before = ",";
  }
  out.text(before === "[" ? "[]\n" : "\n]\n");
}
