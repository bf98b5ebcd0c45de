/**
 * `WWW-Authenticate`: how a server wants to be asked.
 *
 * Source: RFC 9110, 11.6.1; RFC 6750, 3. One header may hold several challenges, and Node joins
 * several headers by commas: the parser tells a parameter from the next scheme.
 */

/** One way that a server offers. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By their names in lower case; the first of a name counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** No header with more is looked at further. */
const CHALLENGES_MAX = 16;

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const BLANK = /[ \t]*/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;

/** Parses all challenges of a header, in order; stops where it is no such header any more. */
export function parseChallenges(header: string): Challenge[] {
  const reader = new HeaderReader(header);
  const challenges: Challenge[] = [];
  while (challenges.length < CHALLENGES_MAX) {
    reader.skipCommas();
    const scheme = reader.token();
    if (scheme === undefined) return challenges;
    challenges.push({ scheme: scheme.toLowerCase(), parameters: reader.parameters() });
  }
  return challenges;
}

class HeaderReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  token(): string | undefined {
    return this.#match(TOKEN);
  }

  skipCommas(): void {
    this.#match(BLANK);
    while (this.#text[this.#at] === ",") {
      this.#at++;
      this.#match(BLANK);
    }
  }

  /** Parameters up to the end, or to a token that no `=` follows: the next scheme. */
  parameters(): Map<string, string> {
    const found = new Map<string, string>();
    this.#match(BLANK);
    if (!this.#isParameter()) this.#match(TOKEN68);
    for (;;) {
      const before = this.#at;
      this.skipCommas();
      const name = this.token()?.toLowerCase();
      this.#match(BLANK);
      if (name === undefined || this.#text[this.#at] !== "=") {
        this.#at = before;
        return found;
      }
      this.#at++;
      this.#match(BLANK);
      const value = this.#value();
      if (value === undefined) return found;
      if (!found.has(name)) found.set(name, value);
    }
  }

  #isParameter(): boolean {
    const before = this.#at;
    const isNamed = this.token() !== undefined;
    this.#match(BLANK);
    const is =
      isNamed && this.#text[this.#at] === "=" && /[^=\s,]/.test(this.#text[this.#at + 1] ?? "");
    this.#at = before;
    return is;
  }

  #value(): string | undefined {
    if (this.#text[this.#at] !== '"') return this.token();
    let value = "";
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const character = this.#text[at]!;
      if (character === '"') {
        this.#at = at + 1;
        return value;
      }
      value += character === "\\" ? (this.#text[++at] ?? "") : character;
    }
    // No end: nothing after it can be told apart.
    this.#at = this.#text.length;
    return undefined;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match[0];
  }
}
