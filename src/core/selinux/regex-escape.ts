/**
 * Escapes of a pattern that mean one byte: `\.`, `\t`, `\x2f`. Both syntaxes know them alike.
 */

import { RegexProblem } from "./regex.ts";

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9 };
const HEX_BYTE = /^[0-9A-Fa-f]{2}/;
/** Letters and digits have meanings of their own, `\<` and `\>` two, by the syntax. */
const NO_LITERAL = /[0-9A-Za-z<>\x80-\xff]/;

/** Reads the escape at `at`, a backslash. Throws {@link RegexProblem} for one that is not a single byte. */
export function readEscape(text: string, at: number): { byte: number; end: number } {
  const letter = text[at + 1];
  if (letter === undefined) throw new RegexProblem("pattern ends in \\", true);
  const control = CONTROL[letter];
  if (control !== undefined) return { byte: control, end: at + 2 };
  if (letter === "x") {
    const hex = HEX_BYTE.exec(text.slice(at + 2, at + 4));
    if (hex !== null) return { byte: Number.parseInt(hex[0], 16), end: at + 4 };
  }
  if (NO_LITERAL.test(letter)) throw new RegexProblem(`\\${letter} is not supported`, false);
  return { byte: letter.charCodeAt(0), end: at + 2 };
}
