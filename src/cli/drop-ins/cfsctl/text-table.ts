/** A table with lines around its cells, as cfsctl prints its lists. */

/** Draws a table; every row has as many cells as the header. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => widthOf(row[column]!))));
  const rule = (left: string, dash: string, cross: string, right: string): string =>
    `${left}${widths.map((width) => dash.repeat(width + 2)).join(cross)}${right}`;
  const line = (cells: readonly string[]): string =>
    `│${cells.map((cell, i) => ` ${cell}${" ".repeat(widths[i]! - widthOf(cell))} `).join("┆")}│`;
  const lines = [rule("┌", "─", "┬", "┐"), line(header)];
  for (const [index, row] of rows.entries()) {
    lines.push(index === 0 ? rule("╞", "═", "╪", "╡") : rule("├", "╌", "┼", "┤"), line(row));
  }
  return `${[...lines, rule("└", "─", "┴", "┘")].join("\n")}\n`;
}

/** Columns of a terminal: one for each character, two for the wide ones of East Asia. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}
