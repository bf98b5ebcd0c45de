/** Runs the contestants of a work in turn, A B A B, and compares the runs of the same round. */

import { measure, shellLine } from "./measure.ts";
import type { Measured } from "./measure.ts";
import { median, spread } from "./statistics.ts";
import type { Contestant, Work } from "./works.ts";

/** What one contestant took, over all rounds. */
export interface ContestantResult {
  readonly name: string;
  readonly command: string;
  /** Medians. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The largest of all rounds, in bytes. */
  readonly peakMemory: number;
}

/** Ours against one peer: times of ours divided by the peer's of the same round; under 1 is faster. */
export interface Comparison {
  readonly peer: string;
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** The same of the processors' time, which others on the machine disturb less. */
  readonly cpuRatio: number;
  readonly goal: number | undefined;
}

/** What came out of one work. */
export interface WorkResult {
  readonly id: string;
  readonly title: string;
  readonly pairs: number;
  readonly contestants: readonly ContestantResult[];
  readonly comparisons: readonly Comparison[];
}

/** Runs a work for `pairs` rounds; works that leave no trace get one more before, to warm the caches. */
export function runWork(work: Work, pairs: number): WorkResult {
  const rounds = pairs * (work.pairsFactor ?? 1);
  const runs = new Map(work.contestants.map((one): [string, Measured[]] => [one.name, []]));
  if (!work.writesMuch) for (const one of work.contestants) runOnce(one);
  for (let round = 0; round < rounds; round++) {
    // The order turns around each time, so that nobody always profits from who ran before.
    const order = [...work.contestants];
    if (round % 2 === 1) order.reverse();
    for (const one of order) runs.get(one.name)!.push(runOnce(one));
  }
  const ours = runs.get("ours")!;
  return {
    id: work.id,
    title: work.title,
    pairs: rounds,
    contestants: work.contestants.map((one) => summarise(one, runs.get(one.name)!)),
    comparisons: work.contestants
      .filter((one) => one.name !== "ours")
      .map((one) => compare(one.name, ours, runs.get(one.name)!, work.goals[one.name])),
  };
}

function runOnce(one: Contestant): Measured {
  one.before?.();
  return measure(one.command);
}

function summarise(one: Contestant, runs: readonly Measured[]): ContestantResult {
  return {
    name: one.name,
    command: shellLine(one.command),
    seconds: median(runs.map((run) => run.seconds)),
    cpuSeconds: median(runs.map((run) => run.cpuSeconds)),
    peakMemory: Math.max(...runs.map((run) => run.peakMemory)),
  };
}

function compare(
  peer: string,
  ours: readonly Measured[],
  theirs: readonly Measured[],
  goal: number | undefined,
): Comparison {
  const ratios = ours.map((run, round) => run.seconds / theirs[round]!.seconds);
  const [low, high] = spread(ratios);
  const cpuRatio = median(ours.map((run, round) => run.cpuSeconds / theirs[round]!.cpuSeconds));
  return { peer, ratio: median(ratios), low, high, cpuRatio, goal };
}
