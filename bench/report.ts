/** The results as people read them. */

import type { SizeResult } from "./containers.ts";
import type { HashingSpeed } from "./hashing.ts";
import type { ContestantResult, WorkResult } from "./pairs.ts";
import type { ScaleResult } from "./scale.ts";

/** One work: who took how long, the ratios, the commands. */
export function formatWork(work: WorkResult): string {
  const lines = [`\n${work.title} (${work.pairs} pairs)`];
  for (const one of work.contestants) lines.push(`  ${formatContestant(one, work)}`);
  for (const one of work.contestants) lines.push(`  $ ${one.command}`);
  return lines.join("\n");
}

function formatContestant(one: ContestantResult, work: WorkResult): string {
  const comparison = work.comparisons.find(({ peer }) => peer === one.name);
  const line =
    `${one.name.padEnd(10)} ${seconds(one.seconds)}   cpu ${seconds(one.cpuSeconds)}` +
    `   peak ${megabytes(one.peakMemory)}`;
  if (comparison === undefined) return line;
  const { ratio, low, high, cpuRatio, goal } = comparison;
  const verdict =
    goal === undefined
      ? ""
      : `   goal ${goal.toFixed(2)} or less: ${ratio <= goal ? "met" : "not met"}`;
  const range = `(${low.toFixed(2)} to ${high.toFixed(2)}; cpu ${cpuRatio.toFixed(2)})`;
  return `${line}   ours/${one.name} ${ratio.toFixed(2)} ${range}${verdict}`;
}

/** Bytes of ours and the peers', and the ratios. */
export function formatSizes({ title, ours, peers, goal }: SizeResult): string {
  const lines = [`\n${title}`, `  ${"ours".padEnd(15)} ${megabytes(ours)}`];
  for (const [name, bytes] of Object.entries(peers)) {
    const ratio = ours / bytes;
    const verdict = `goal ${goal.toFixed(2)} or less: ${ratio <= goal ? "met" : "not met"}`;
    lines.push(
      `  ${name.padEnd(15)} ${megabytes(bytes)}   ours/${name} ${ratio.toFixed(2)}   ${verdict}`,
    );
  }
  return lines.join("\n");
}

/** The speeds of the ways to hash blocks. */
export function formatHashing(speeds: readonly HashingSpeed[]): string {
  const lines = ["\nhashing blocks of 4096 bytes, one core"];
  for (const one of speeds) {
    const speed = `${(one.speed / 1e9).toFixed(2)} GB/s`;
    const factor = `${one.factor.toFixed(2)} times crypto.hash per block`;
    lines.push(`  ${one.algorithm}  ${one.way.padEnd(24)} ${speed}   ${factor}`);
  }
  return lines.join("\n");
}

/** How time and memory grow. */
export function formatScale(results: readonly ScaleResult[]): string {
  const head = ["work", "who", "entries", "time", "cpu", "cpu/entry", "peak memory", "per entry"];
  const rows = results.map((one) => [
    one.work,
    one.who,
    String(one.entries),
    seconds(one.seconds),
    seconds(one.cpuSeconds),
    `${((one.cpuSeconds / one.entries) * 1e6).toFixed(2)} µs`,
    megabytes(one.peakMemory),
    `${Math.round(one.peakMemory / one.entries)} B`,
  ]);
  return ["", ...[head, ...rows].map((row) => formatRow(row))].join("\n");
}

function formatRow([work, who, ...numbers]: readonly string[]): string {
  return work!.padEnd(15) + who!.padEnd(6) + numbers.map((one) => one.padStart(12)).join("");
}

function seconds(value: number): string {
  return `${value.toFixed(value < 0.1 ? 4 : value < 10 ? 3 : 1)} s`;
}

function megabytes(value: number): string {
  return `${(value / 1e6).toFixed(0)} MB`;
}
