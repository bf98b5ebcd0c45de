/**
 * Patterns as one nondeterministic automaton, in which patterns that begin alike share their beginning.
 *
 * Thompson's construction. A *junction* is a node between two parts at the top of patterns: it knows
 * which part leads where, so that ten thousand patterns below `/usr/lib(64)?/` are one node there.
 */

import { ComposefsError } from "../errors.ts";
import type { ByteSet } from "./byte-set.ts";
import type { Anchor, Regex, WrittenRegex } from "./regex.ts";

/** A node's index. */
export type NodeId = number;

/** What a node does. */
export type NfaNode =
  | { readonly kind: "byte"; readonly byte: number; readonly next: NodeId }
  | { readonly kind: "set"; readonly set: ByteSet; readonly next: NodeId }
  | { readonly kind: "split"; next: NodeId; readonly other: NodeId }
  | { readonly kind: "anchor"; readonly anchor: Anchor; readonly next: NodeId }
  | {
      readonly kind: "lookahead";
      readonly entry: NodeId;
      readonly end: NodeId;
      readonly isNegative: boolean;
      readonly next: NodeId;
    }
  | Junction;

/** Where patterns part, or end. */
export interface Junction {
  readonly kind: "junction";
  readonly byByte: Map<number, NodeId>;
  /** By the text of the part: where it begins, and the junction after it. */
  readonly byText: Map<string, { readonly entry: NodeId; readonly after: NodeId }>;
}

/** Some hundred bytes each. The policies of distributions have a tenth. */
const MAX_NODES = 1_000_000;
/** Copies of what is repeated, which may be empty and have no nodes. */
const MAX_PARTS = 10_000_000;

/** Grows by patterns; read by those who run it. */
export class Nfa {
  readonly nodes: NfaNode[] = [];
  #parts = 0;

  addJunction(): NodeId {
    return this.#add({ kind: "junction", byByte: new Map(), byText: new Map() });
  }

  /** Adds a sequence that begins at a junction, and returns the junction at its end. */
  addSequence(from: NodeId, items: readonly WrittenRegex[]): NodeId {
    let at = from;
    for (const item of items) at = this.#follow(at, item);
    return at;
  }

  #follow(from: NodeId, { text, regex }: WrittenRegex): NodeId {
    const junction = this.nodes[from] as Junction;
    if (regex.kind === "byte") {
      let next = junction.byByte.get(regex.byte);
      if (next === undefined) {
        next = this.addJunction();
        junction.byByte.set(regex.byte, next);
      }
      return next;
    }
    let way = junction.byText.get(text);
    if (way === undefined) {
      const after = this.addJunction();
      way = { entry: this.#compile(regex, after), after };
      junction.byText.set(text, way);
    }
    return way.after;
  }

  /** Makes the nodes of a part that leads to `next`, and returns the first. */
  #compile(regex: Regex, next: NodeId): NodeId {
    if (++this.#parts > MAX_PARTS) throw tooLarge();
    switch (regex.kind) {
      case "byte":
        return this.#add({ kind: "byte", byte: regex.byte, next });
      case "set":
        return this.#add({ kind: "set", set: regex.set, next });
      case "anchor":
        return this.#add({ kind: "anchor", anchor: regex.anchor, next });
      case "lookahead": {
        const { isNegative } = regex;
        const end = this.addJunction();
        const entry = this.#compile(regex.item, end);
        return this.#add({ kind: "lookahead", entry, end, isNegative, next });
      }
      case "sequence": {
        let entry = next;
        for (let i = regex.items.length - 1; i >= 0; i--) {
          entry = this.#compile(regex.items[i]!, entry);
        }
        return entry;
      }
      case "choice":
        return regex.options
          .map((option) => this.#compile(option, next))
          .reduce((other, entry) => this.#add({ kind: "split", next: entry, other }));
      case "repeat":
        return this.#compileRepeat(regex, next);
    }
  }

  #compileRepeat({ item, min, max }: Regex & { kind: "repeat" }, next: NodeId): NodeId {
    let entry = next;
    if (max === Infinity) {
      const loop = { kind: "split" as const, next: next, other: next };
      entry = this.#add(loop);
      loop.next = this.#compile(item, entry);
    } else {
      for (let count = min; count < max; count++) {
        entry = this.#add({ kind: "split", next: this.#compile(item, entry), other: next });
      }
    }
    for (let count = 0; count < min; count++) entry = this.#compile(item, entry);
    return entry;
  }

  #add(node: NfaNode): NodeId {
    if (this.nodes.length >= MAX_NODES) throw tooLarge();
    return this.nodes.push(node) - 1;
  }
}

function tooLarge(): ComposefsError {
  return new ComposefsError(
    "invalid-policy",
    "Cannot use SELinux policy: its patterns are too large",
  );
}
