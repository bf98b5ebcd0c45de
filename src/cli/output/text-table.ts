/** Tables of text: columns as wide as they have to be. */

import type { Output } from "./output.ts";

/** Writes rows under a head; columns in `right` stand at the right. */
export function writeTable(
  out: Output,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { right = [] }: { readonly right?: readonly number[] } = {},
): void {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join("  ")
      .trimEnd();
  out.text(`${out.style("bold", line(head))}\n`);
  for (const row of rows) out.text(`${line(row)}\n`);
}
