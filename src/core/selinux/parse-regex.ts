/**
 * Text of a pattern to its parts.
 *
 * Patterns are read as composefs-rs 0.9 does, because labels make digests: in the syntax of the Rust
 * crate regex-syntax over bytes (no Unicode), and where that refuses one, in PCRE2's. They differ in what
 * `.` matches, in quantified characters that are not ASCII, and in look-ahead, which only PCRE2 has. What
 * no policy is known to use is refused and not guessed: back references, look-behind, atomic groups, flags
 * like `(?i)`, set operations like `[a&&b]`.
 *
 * Source: docs.rs/regex-syntax 0.8, "Syntax"; pcre2pattern(3); selabel_file(5).
 */

import { ESCAPED_SETS, allBut } from "./byte-set.ts";
import { parseBracket } from "./parse-bracket.ts";
import { RegexProblem } from "./regex.ts";
import type { Anchor, Pattern, Regex, RegexSyntax, WrittenRegex } from "./regex.ts";
import { readEscape } from "./regex-escape.ts";

/** As in both libraries. It also bounds the depth of our own calls. */
const MAX_DEPTH = 250;
/** As in PCRE2. */
const MAX_REPEAT = 65535;

const DOT = { rust: allBut("\0"), pcre: allBut("\n") } as const;
const ANCHOR_ESCAPES: Readonly<Record<string, Anchor>> = {
  A: "start",
  z: "end",
  b: "word-boundary",
  B: "no-word-boundary",
};
/** How groups begin whose parentheses do nothing but group. */
const PLAIN_GROUP = /^\?(?::|P?<[A-Za-z_][A-Za-z0-9_]*>)/;
const QUANTIFIER = /^\{(\d+)(,(\d*))?\}/;

/** Parses a pattern, one byte a code unit. Throws {@link RegexProblem}. */
export function parseRegex(text: string): Pattern {
  try {
    return new Parser(text, "rust").parse();
  } catch (problem) {
    if (!(problem instanceof RegexProblem) || !problem.isSyntax) throw problem;
    return new Parser(text, "pcre").parse();
  }
}

class Parser {
  readonly #text: string;
  readonly #syntax: RegexSyntax;
  #at = 0;
  #depth = 0;
  #hasConditions = false;

  constructor(text: string, syntax: RegexSyntax) {
    this.#text = text;
    this.#syntax = syntax;
  }

  parse(): Pattern {
    const branches = this.#branches();
    if (this.#at < this.#text.length) throw new RegexProblem("unmatched )", true);
    return { branches, hasConditions: this.#hasConditions };
  }

  /** Reads branches up to the end or a closing parenthesis, which stays. */
  #branches(): WrittenRegex[][] {
    const branches: WrittenRegex[][] = [[]];
    while (this.#at < this.#text.length && this.#text[this.#at] !== ")") {
      if (this.#text[this.#at] === "|") {
        this.#at++;
        branches.push([]);
        continue;
      }
      const start = this.#at;
      const regex = this.#quantified(this.#atom());
      branches[branches.length - 1]!.push({ text: this.#text.slice(start, this.#at), regex });
    }
    return branches;
  }

  #atom(): Regex {
    const character = this.#text[this.#at]!;
    switch (character) {
      case "(":
        return this.#group();
      case "[": {
        const { set, end } = parseBracket(this.#text, this.#at, this.#syntax);
        this.#at = end;
        return { kind: "set", set };
      }
      case "\\":
        return this.#escape();
      case ".":
        this.#at++;
        return { kind: "set", set: DOT[this.#syntax] };
      case "^":
        this.#at++;
        return this.#anchor("start");
      case "$":
        this.#at++;
        return this.#anchor("end");
      case "*":
      case "+":
      case "?":
        throw new RegexProblem(`nothing to repeat before ${character}`, true);
      case "{":
        if (this.#syntax === "rust" || QUANTIFIER.test(this.#rest())) {
          throw new RegexProblem("nothing to repeat before {", true);
        }
    }
    return this.#literal();
  }

  /** One byte; in Rust's syntax one character, which a quantifier after it means as a whole. */
  #literal(): Regex {
    const start = this.#at++;
    const first = this.#text.charCodeAt(start);
    if (this.#syntax === "pcre" || first < 0xc2) return { kind: "byte", byte: first };
    while ((this.#text.charCodeAt(this.#at) & 0xc0) === 0x80) this.#at++;
    return sequenceOfBytes(this.#text.slice(start, this.#at));
  }

  #escape(): Regex {
    const letter = this.#text[this.#at + 1];
    const set = ESCAPED_SETS.get(letter ?? "");
    if (set !== undefined) {
      this.#at += 2;
      return { kind: "set", set };
    }
    const anchor = letter === undefined ? undefined : ANCHOR_ESCAPES[letter];
    if (anchor !== undefined) {
      this.#at += 2;
      if (this.#text[this.#at] === "{") {
        throw new RegexProblem(`\\${letter}{ is not supported`, false);
      }
      return this.#anchor(anchor);
    }
    const { byte, end } = readEscape(this.#text, this.#at);
    this.#at = end;
    return { kind: "byte", byte };
  }

  #anchor(anchor: Anchor): Regex {
    this.#hasConditions = true;
    return { kind: "anchor", anchor };
  }

  #group(): Regex {
    this.#at++;
    if (++this.#depth > MAX_DEPTH) {
      throw new RegexProblem(`groups deeper than ${MAX_DEPTH}`, false);
    }
    const look = /^\?([=!])/.exec(this.#rest());
    if (look !== null) {
      if (this.#syntax === "rust") throw new RegexProblem("look-ahead", true);
      this.#at += 2;
      this.#hasConditions = true;
    } else if (this.#text[this.#at] === "?") {
      const plain = PLAIN_GROUP.exec(this.#rest());
      if (plain === null) {
        throw new RegexProblem(
          `(${this.#text.slice(this.#at, this.#at + 3)} is not supported`,
          false,
        );
      }
      this.#at += plain[0].length;
    }
    const item = choiceOf(this.#branches());
    if (this.#text[this.#at] !== ")") throw new RegexProblem("missing )", true);
    this.#at++;
    this.#depth--;
    return look === null ? item : { kind: "lookahead", item, isNegative: look[1] === "!" };
  }

  #quantified(item: Regex): Regex {
    let regex = item;
    // Quantifiers may follow each other; PCRE2 reads the second as possessive.
    for (let count = 0; ; count++) {
      const bounds = this.#quantifier();
      if (bounds === undefined) return regex;
      if (count > 0 && this.#syntax === "pcre") {
        throw new RegexProblem("quantifier after a quantifier", false);
      }
      if (count >= MAX_DEPTH) throw new RegexProblem("too many quantifiers", false);
      regex = { kind: "repeat", item: regex, ...bounds };
      // Lazy: takes less first, but as a whole the same.
      if (this.#text[this.#at] === "?") this.#at++;
    }
  }

  #quantifier(): { min: number; max: number } | undefined {
    switch (this.#text[this.#at]) {
      case "*":
        this.#at++;
        return { min: 0, max: Infinity };
      case "+":
        this.#at++;
        return { min: 1, max: Infinity };
      case "?":
        this.#at++;
        return { min: 0, max: 1 };
      case "{":
        return this.#counted();
      default:
        return undefined;
    }
  }

  #counted(): { min: number; max: number } | undefined {
    const match = QUANTIFIER.exec(this.#rest());
    if (match === null) {
      // A literal brace in PCRE2; `{,n}` has changed its meaning there.
      if (/^\{,\d*\}/.test(this.#rest())) throw new RegexProblem("{,n} is not supported", false);
      if (this.#syntax === "rust") throw new RegexProblem("bad repeat count", true);
      return undefined;
    }
    this.#at += match[0].length;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Infinity : Number(match[3]);
    if (min > max) throw new RegexProblem(`bad repeat count ${match[0]}`, true);
    if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Infinity)) {
      throw new RegexProblem(`repeat count over ${MAX_REPEAT}`, false);
    }
    return { min, max };
  }

  /** What is ahead, as far as any construct with a fixed form reaches. */
  #rest(): string {
    return this.#text.slice(this.#at, this.#at + 64);
  }
}

function sequenceOfBytes(bytes: string): Regex {
  const items = Array.from(bytes, (byte) => ({ kind: "byte", byte: byte.charCodeAt(0) }) as const);
  return { kind: "sequence", items };
}

function choiceOf(branches: readonly (readonly WrittenRegex[])[]): Regex {
  const options = branches.map((items): Regex => {
    const [first] = items;
    if (items.length === 1 && first !== undefined) return first.regex;
    return { kind: "sequence", items: items.map(({ regex }) => regex) };
  });
  return options.length === 1 ? options[0]! : { kind: "choice", options };
}
