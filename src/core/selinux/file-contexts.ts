/**
 * The rules of a policy, ready to be asked: which label has a path of a type?
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { displayText } from "../bytes/byte-string.ts";
import { Automaton } from "./automaton.ts";
import type { MatchState } from "./automaton.ts";
import { allBut } from "./byte-set.ts";
import { ConditionalRule } from "./conditional-rule.ts";
import { Nfa } from "./nfa.ts";
import type { NodeId } from "./nfa.ts";
import { parseRegex } from "./parse-regex.ts";
import { FILE_TYPE_LETTERS, invalidPolicy } from "./policy-text.ts";
import type { FileContextRule } from "./policy-text.ts";
import { RegexProblem } from "./regex.ts";
import type { Pattern, WrittenRegex } from "./regex.ts";
import { WorkMeter } from "./work-meter.ts";

const ANY_TYPE: WrittenRegex = { text: ".", regex: { kind: "set", set: allBut("\0") } };
const NO_RULE = -1;

/** Compiled file contexts. Of all rules that match, the last counts. */
export class FileContexts {
  readonly #rules: readonly FileContextRule[];
  readonly #automaton: Automaton;
  /** At which junctions of the automaton rules end: the last rule for each type. */
  readonly #ends = new Map<NodeId, Int32Array>();
  /** Rules that are run one by one, the last first. */
  readonly #conditional: { readonly rule: number; readonly matcher: ConditionalRule }[] = [];
  readonly #winners = new WeakMap<MatchState, Int32Array>();

  /** Throws `invalid-policy` for a pattern that cannot be read. */
  constructor(rules: readonly FileContextRule[], meter: WorkMeter = new WorkMeter()) {
    this.#rules = rules;
    const nfa = new Nfa();
    const root = nfa.addJunction();
    for (const [index, rule] of rules.entries()) {
      const pattern = parsePattern(rule);
      if (pattern.hasConditions) {
        const matcher = new ConditionalRule(pattern, typePattern(rule), meter);
        this.#conditional.unshift({ rule: index, matcher });
        continue;
      }
      for (const branch of pattern.branches) {
        this.#endAt(nfa.addSequence(root, branch), index, rule.type);
      }
    }
    this.#automaton = new Automaton(nfa, root, meter);
  }

  /** Before the first byte of a path. */
  get start(): MatchState {
    return this.#automaton.start;
  }

  /** After more bytes of a path: what paths have in common is matched once. */
  advance(state: MatchState, bytes: ByteString): MatchState {
    return this.#automaton.advance(state, bytes);
  }

  /**
   * The label of a path. `state` is that after the whole of `path`; `type` one of
   * {@link FILE_TYPE_LETTERS}. `undefined` when no rule matches, or when the one that counts says so.
   */
  label(state: MatchState, path: ByteString, type: string): ByteString | undefined {
    const winner = this.#winnersAt(state)[FILE_TYPE_LETTERS.indexOf(type)]!;
    const text = (path + type) as ByteString;
    for (const { rule, matcher } of this.#conditional) {
      if (rule < winner) break;
      if (matcher.matches(text)) return this.#rules[rule]!.context;
    }
    return winner === NO_RULE ? undefined : this.#rules[winner]!.context;
  }

  #endAt(junction: NodeId, rule: number, type: string | undefined): void {
    let winners = this.#ends.get(junction);
    if (winners === undefined) {
      winners = new Int32Array(FILE_TYPE_LETTERS.length).fill(NO_RULE);
      this.#ends.set(junction, winners);
    }
    if (type === undefined) winners.fill(rule);
    else winners[FILE_TYPE_LETTERS.indexOf(type)] = rule;
  }

  #winnersAt(state: MatchState): Int32Array {
    let winners = this.#winners.get(state);
    if (winners === undefined) {
      winners = new Int32Array(FILE_TYPE_LETTERS.length).fill(NO_RULE);
      for (const node of state.nodes) {
        const ends = this.#ends.get(node);
        if (ends === undefined) continue;
        for (const [i, rule] of ends.entries()) if (rule > winners[i]!) winners[i] = rule;
      }
      this.#winners.set(state, winners);
    }
    return winners;
  }
}

function parsePattern({ pattern, where }: FileContextRule): Pattern {
  try {
    return parseRegex(pattern);
  } catch (problem) {
    if (!(problem instanceof RegexProblem)) throw problem;
    const shown = displayText(pattern.slice(0, 200) as ByteString);
    throw invalidPolicy(where, `pattern "${shown}": ${problem.reason}`);
  }
}

function typePattern({ type }: FileContextRule): WrittenRegex {
  if (type === undefined) return ANY_TYPE;
  return { text: type, regex: { kind: "byte", byte: type.charCodeAt(0) } };
}
