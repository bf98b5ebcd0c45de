/**
 * Patterns with conditions: anchors and look-ahead. They are run one by one over the whole text, without
 * backtracking: the time is bounded by the sizes of pattern and text.
 *
 * The text is the path and the letter of the file's type, because that is what composefs-rs matches: `$`
 * never matches before the letter, and a look-ahead sees it.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { isWordByte } from "./byte-set.ts";
import { Nfa } from "./nfa.ts";
import type { NfaNode, NodeId } from "./nfa.ts";
import type { Anchor, Pattern, WrittenRegex } from "./regex.ts";
import type { WorkMeter } from "./work-meter.ts";

/** One pattern, ready to be run. */
export class ConditionalRule {
  readonly #nfa = new Nfa();
  readonly #start: NodeId;
  readonly #ends: ReadonlySet<NodeId>;
  readonly #prefix: string;
  readonly #meter: WorkMeter;

  /** `type` matches the letter of the file's type. */
  constructor({ branches }: Pattern, type: WrittenRegex, meter: WorkMeter) {
    this.#start = this.#nfa.addJunction();
    this.#ends = new Set(
      branches.map((branch) => this.#nfa.addSequence(this.#start, [...branch, type])),
    );
    this.#prefix = branches.length === 1 ? literalPrefix(branches[0]!) : "";
    this.#meter = meter;
  }

  /** Whether the pattern matches a path with the letter of its type. */
  matches(text: ByteString): boolean {
    if (!text.startsWith(this.#prefix)) return false;
    const run = new Run(this.#nfa.nodes, text, this.#meter);
    return run.matches(this.#start, this.#ends, 0, true);
  }
}

function literalPrefix(items: readonly WrittenRegex[]): string {
  let prefix = "";
  for (const { regex } of items) {
    if (regex.kind !== "byte") break;
    prefix += String.fromCharCode(regex.byte);
  }
  return prefix;
}

/** One pattern over one text. */
class Run {
  readonly #nodes: readonly NfaNode[];
  readonly #text: ByteString;
  readonly #meter: WorkMeter;
  /** What look-aheads found, by node and place: each is run once a place. */
  readonly #found = new Map<number, boolean>();

  constructor(nodes: readonly NfaNode[], text: ByteString, meter: WorkMeter) {
    this.#nodes = nodes;
    this.#text = text;
    this.#meter = meter;
  }

  /** Whether one of `ends` is reached: with the last byte if `isWhole`, else with any. */
  matches(start: NodeId, ends: ReadonlySet<NodeId>, from: number, isWhole: boolean): boolean {
    let reached = this.#reach([start], from);
    for (let at = from; ; at++) {
      if (!isWhole || at === this.#text.length) {
        for (const end of ends) if (reached.has(end)) return true;
      }
      if (at === this.#text.length || reached.size === 0) return false;
      reached = this.#reach(this.#step(reached, this.#text.charCodeAt(at)), at + 1);
    }
  }

  #step(reached: ReadonlySet<NodeId>, byte: number): NodeId[] {
    const next: NodeId[] = [];
    for (const id of reached) {
      const node = this.#nodes[id]!;
      if (node.kind === "byte" && node.byte === byte) next.push(node.next);
      else if (node.kind === "set" && node.set[byte] === 1) next.push(node.next);
      else if (node.kind === "junction") {
        const way = node.byByte.get(byte);
        if (way !== undefined) next.push(way);
      }
    }
    return next;
  }

  /** What can be reached from `stack` without taking a byte. */
  #reach(stack: NodeId[], at: number): Set<NodeId> {
    const reached = new Set<NodeId>();
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      this.#meter.spend(1);
      if (reached.has(id)) continue;
      reached.add(id);
      const node = this.#nodes[id]!;
      if (node.kind === "split") stack.push(node.next, node.other);
      else if (node.kind === "junction") {
        for (const { entry } of node.byText.values()) stack.push(entry);
      } else if (node.kind === "anchor") {
        if (this.#holds(node.anchor, at)) stack.push(node.next);
      } else if (node.kind === "lookahead") {
        if (this.#looksAhead(id, node, at) !== node.isNegative) stack.push(node.next);
      }
    }
    return reached;
  }

  #holds(anchor: Anchor, at: number): boolean {
    switch (anchor) {
      case "start":
        return at === 0;
      case "end":
        return at === this.#text.length;
      case "word-boundary":
        return this.#isBoundary(at);
      case "no-word-boundary":
        return !this.#isBoundary(at);
    }
  }

  #isBoundary(at: number): boolean {
    // Outside of the text the code is NaN, which is in no word.
    return isWordByte(this.#text.charCodeAt(at - 1)) !== isWordByte(this.#text.charCodeAt(at));
  }

  #looksAhead(id: NodeId, node: NfaNode & { kind: "lookahead" }, at: number): boolean {
    const key = id * (this.#text.length + 1) + at;
    let found = this.#found.get(key);
    if (found === undefined) {
      found = this.matches(node.entry, new Set([node.end]), at, false);
      this.#found.set(key, found);
    }
    return found;
  }
}
