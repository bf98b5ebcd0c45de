/**
 * Bracket expressions of a pattern: `[^/]`, `[a-z0-9]`, `[[:digit:]_]`.
 */

import { ESCAPED_SETS, NAMED_SETS, addAll, byteSet, complementOf } from "./byte-set.ts";
import type { ByteSet } from "./byte-set.ts";
import { RegexProblem } from "./regex.ts";
import type { RegexSyntax } from "./regex.ts";
import { readEscape } from "./regex-escape.ts";

/** Parses the bracket expression at `at`. `end` is where the pattern goes on. */
export function parseBracket(
  text: string,
  at: number,
  syntax: RegexSyntax,
): { set: ByteSet; end: number } {
  const set = byteSet("");
  const isNegated = text[at + 1] === "^";
  const start = at + (isNegated ? 2 : 1);
  let next = start;
  while (text[next] !== "]" || next === start) {
    if (next >= text.length) throw new RegexProblem("missing ]", true);
    next = addItem(set, text, next, syntax);
  }
  return { set: isNegated ? complementOf(set) : set, end: next + 1 };
}

/** Adds what the item at `at` stands for, and returns where the next one begins. */
function addItem(set: ByteSet, text: string, at: number, syntax: RegexSyntax): number {
  refuseOperator(text, at);
  const named = namedSet(text, at, syntax);
  if (named !== undefined) {
    addAll(set, named.set);
    return named.end;
  }
  const first = readMember(text, at, syntax);
  if (text[first.end] !== "-" || text[first.end + 1] === "]") {
    set[first.byte] = 1;
    return first.end;
  }
  refuseOperator(text, first.end);
  if (namedSet(text, first.end + 1, syntax) !== undefined) {
    throw new RegexProblem("range of a set", false);
  }
  const last = readMember(text, first.end + 1, syntax);
  if (last.byte < first.byte) throw new RegexProblem("range that runs backwards", true);
  set.fill(1, first.byte, last.byte + 1);
  return last.end;
}

/** Set operations, which only one of the syntaxes has. */
function refuseOperator(text: string, at: number): void {
  const two = text.slice(at, at + 2);
  if (two === "&&" || two === "--" || two === "~~") {
    throw new RegexProblem(`${two} inside of [] is not supported`, false);
  }
}

function namedSet(
  text: string,
  at: number,
  syntax: RegexSyntax,
): { set: ByteSet; end: number } | undefined {
  if (text[at] === "\\") {
    const set = ESCAPED_SETS.get(text[at + 1] ?? "");
    return set === undefined ? undefined : { set, end: at + 2 };
  }
  if (text[at] !== "[") return undefined;
  const posix = /^\[:(\^?)([a-z]*):\]/.exec(text.slice(at, at + 16));
  if (posix !== null) {
    const set = NAMED_SETS.get(posix[2]!);
    if (set === undefined) throw new RegexProblem(`${posix[0]} is not known`, false);
    return { set: posix[1] === "^" ? complementOf(set) : set, end: at + posix[0].length };
  }
  // In Rust's syntax a set inside of the set, when it closes; in PCRE2's the byte itself.
  if (syntax === "rust") return parseBracket(text, at, syntax);
  return undefined;
}

function readMember(text: string, at: number, syntax: RegexSyntax): { byte: number; end: number } {
  if (at >= text.length) throw new RegexProblem("missing ]", true);
  if (text[at] === "\\") {
    if (text[at + 1] === "b") throw new RegexProblem("\\b inside of []", false);
    return readEscape(text, at);
  }
  const byte = text.charCodeAt(at);
  if (byte > 0x7f && syntax === "rust") throw new RegexProblem("not ASCII inside of []", true);
  return { byte, end: at + 1 };
}
