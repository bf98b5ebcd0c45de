/**
 * Runs all patterns without conditions at once: a deterministic automaton, made as far as paths need it.
 *
 * A state is the set of nodes that the patterns may be at after the bytes so far. States and the ways
 * between them are kept, so that a byte costs one look-up when the same was seen before, and the state
 * after a directory's path serves all that is in it.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import type { Nfa, NodeId } from "./nfa.ts";
import type { WorkMeter } from "./work-meter.ts";

/** Where matching is after some bytes. Valid as long as its automaton. */
export interface MatchState {
  /** Nodes that take a byte, and junctions, in ascending order. */
  readonly nodes: Int32Array;
  readonly after: Map<number, MatchState>;
}

/** Most nodes in all states that are kept, four bytes each; then all are forgotten. */
const MAX_KEPT_NODES = 8_000_000;
/** What a state costs beside its nodes, in nodes. */
const STATE_COST = 64;

/** All patterns of a policy at once: states of many nodes of an NFA, each made when it is first reached. */
export class Automaton {
  readonly start: MatchState;
  readonly #nfa: Nfa;
  readonly #meter: WorkMeter;
  /** States by a hash of their nodes. */
  #kept = new Map<number, MatchState[]>();
  #keptNodes = 0;
  /** The round in which a node was last reached. */
  readonly #reached: Int32Array;
  #round = 0;
  readonly #stack: NodeId[] = [];

  /** The NFA must not grow afterwards. `root` is the junction where all patterns begin. */
  constructor(nfa: Nfa, root: NodeId, meter: WorkMeter) {
    this.#nfa = nfa;
    this.#meter = meter;
    this.#reached = new Int32Array(nfa.nodes.length);
    this.#round++;
    const nodes: NodeId[] = [];
    this.#reach(root, nodes);
    this.start = this.#keep(nodes);
  }

  /** The state after more bytes. */
  advance(from: MatchState, bytes: ByteString): MatchState {
    let state = from;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes.charCodeAt(i);
      let next = state.after.get(byte);
      if (next === undefined) {
        next = this.#step(state, byte);
        state.after.set(byte, next);
      }
      state = next;
      if (state.nodes.length === 0) break;
    }
    return state;
  }

  #step(state: MatchState, byte: number): MatchState {
    const { nodes: all } = this.#nfa;
    const nodes: NodeId[] = [];
    this.#round++;
    for (const id of state.nodes) {
      const node = all[id]!;
      if (node.kind === "byte") {
        if (node.byte === byte) this.#reach(node.next, nodes);
      } else if (node.kind === "set") {
        if (node.set[byte] === 1) this.#reach(node.next, nodes);
      } else if (node.kind === "junction") {
        const next = node.byByte.get(byte);
        if (next !== undefined) this.#reach(next, nodes);
      }
    }
    this.#meter.spend(state.nodes.length + 1);
    return this.#keep(nodes);
  }

  /** Adds what can be reached from a node without taking a byte. */
  #reach(from: NodeId, nodes: NodeId[]): void {
    const stack = this.#stack;
    stack.push(from);
    let steps = 0;
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      steps++;
      if (this.#reached[id] === this.#round) continue;
      this.#reached[id] = this.#round;
      const node = this.#nfa.nodes[id]!;
      if (node.kind === "split") {
        stack.push(node.next, node.other);
        continue;
      }
      nodes.push(id);
      if (node.kind === "junction") {
        for (const { entry } of node.byText.values()) stack.push(entry);
      }
    }
    this.#meter.spend(steps);
  }

  /** The state of a set of nodes: the one that is kept, or a new one. */
  #keep(unsorted: readonly NodeId[]): MatchState {
    const nodes = Int32Array.from(unsorted).sort();
    let hash = nodes.length;
    for (const node of nodes) hash = (Math.imul(hash, 31) + node) | 0;
    const sameHash = this.#kept.get(hash);
    if (sameHash !== undefined) {
      const known = sameHash.find((state) => isSame(state.nodes, nodes));
      if (known !== undefined) return known;
      this.#meter.spend(sameHash.length);
    }
    this.#keptNodes += nodes.length + STATE_COST;
    if (this.#keptNodes > MAX_KEPT_NODES) this.#forget();
    const state: MatchState = { nodes, after: new Map() };
    const bucket = this.#kept.get(hash);
    if (bucket === undefined) this.#kept.set(hash, [state]);
    else bucket.push(state);
    return state;
  }

  /** Drops all states but those that somebody holds, who can go on from them. */
  #forget(): void {
    for (const states of this.#kept.values()) for (const { after } of states) after.clear();
    this.#kept = new Map();
    this.#keptNodes = 0;
  }
}

function isSame(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
