/**
 * A parsed pattern: the regular expressions that SELinux file contexts are written in, as data.
 */

import type { ByteSet } from "./byte-set.ts";

/** Where a pattern looks without taking a byte. */
export type Anchor = "start" | "end" | "word-boundary" | "no-word-boundary";

/** A regular expression over bytes. */
export type Regex =
  | { readonly kind: "byte"; readonly byte: number }
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "sequence"; readonly items: readonly Regex[] }
  | { readonly kind: "choice"; readonly options: readonly Regex[] }
  /** `max` is `Infinity` without a bound. Greedy or not makes no difference to what matches as a whole. */
  | { readonly kind: "repeat"; readonly item: Regex; readonly min: number; readonly max: number }
  | { readonly kind: "anchor"; readonly anchor: Anchor }
  | { readonly kind: "lookahead"; readonly item: Regex; readonly isNegative: boolean };

/** A part of a pattern with the text that it was written as: equal text, equal meaning. */
export interface WrittenRegex {
  readonly text: string;
  readonly regex: Regex;
}

/** A whole pattern: one of `branches` matches, each a sequence. */
export interface Pattern {
  readonly branches: readonly (readonly WrittenRegex[])[];
  /** Whether it has anchors or looks ahead: what matches depends on more than the bytes taken. */
  readonly hasConditions: boolean;
}

/** Which of two syntaxes a pattern is read in; see parse-regex.ts. */
export type RegexSyntax = "rust" | "pcre";

/** Why a pattern cannot be read. */
export class RegexProblem {
  readonly reason: string;
  /** Whether the other syntax may know it. */
  readonly isSyntax: boolean;

  constructor(reason: string, isSyntax: boolean) {
    this.reason = reason;
    this.isSyntax = isSyntax;
  }
}
