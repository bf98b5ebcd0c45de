/** JSON as cfsctl prints it: two spaces for each level, and a line end. */

import type { Output } from "../../output/output.ts";

/** Prints a value. */
export function printJson(out: Output, value: object): void {
  out.text(`${JSON.stringify(value, undefined, 2)}\n`);
}
