/** How cost grows: the same works on 1,000 to 1,000,000 entries. */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { dumpLines } from "./make-dump.ts";
import { writePieces } from "./make-tree.ts";
import { measure } from "./measure.ts";
import type { Command } from "./measure.ts";
import type { Tools } from "./peers.ts";
import { median } from "./statistics.ts";
import { planTree } from "./tree-plan.ts";

const ENTRIES = [1_000, 10_000, 100_000, 1_000_000];
const BYTES_PER_FILE = 30_000;
/** Of each 115 entries of a plan 100 are files. */
const FILES_PER_ENTRY = 100 / 115;
/** A run of a million entries takes long enough to be its own mean. */
const runsFor = (entries: number): number => (entries < 1_000_000 ? 3 : 1);

/** One work at one size. */
export interface ScaleResult {
  readonly work: string;
  readonly who: string;
  readonly entries: number;
  /** Medians: on the wall, and of all processors. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The largest of all runs, in bytes. */
  readonly peakMemory: number;
}

/** Measures all sizes up to `largest`. */
export function measureScale(tools: Tools, scratch: string, largest = Infinity): ScaleResult[] {
  return ENTRIES.filter((entries) => entries <= largest).flatMap((entries) =>
    measureSize(tools, scratch, entries),
  );
}

function measureSize(tools: Tools, scratch: string, entries: number): ScaleResult[] {
  const file = (name: string): string => join(scratch, `scale-${name}`);
  writeDump(file("a.dump"), entries, 1);
  writeDump(file("b.dump"), entries, 2);
  const run = (work: string, who: string, command: Command): ScaleResult => {
    const runs = Array.from({ length: runsFor(entries) }, () => measure(command));
    return {
      work,
      who,
      entries,
      seconds: median(runs.map((one) => one.seconds)),
      cpuSeconds: median(runs.map((one) => one.cpuSeconds)),
      peakMemory: Math.max(...runs.map((one) => one.peakMemory)),
    };
  };
  const results: ScaleResult[] = [];
  for (const [who, tool] of [["C", tools.c] as const, ["ours", tools.ours] as const]) {
    if (tool === undefined) continue;
    const make = (name: string): Command => ({
      argv: [...tool("mkcomposefs"), "--from-file", file(`${name}.dump`), file(`${name}.cfs`)],
    });
    measure(make("b"));
    results.push(
      run("dump to image", who, make("a")),
      run("image to dump", who, {
        argv: [...tool("composefs-info"), "dump", file("a.cfs")],
        stdoutPath: file("out"),
      }),
    );
  }
  results.push(
    run("diff", "ours", {
      argv: [...tools.ours("composefs"), "diff", file("a.cfs"), file("b.cfs")],
      stdoutPath: file("out"),
      status: 3,
    }),
  );
  for (const name of ["a.dump", "b.dump", "a.cfs", "b.cfs", "out"]) rmSync(file(name));
  return results;
}

function writeDump(path: string, entries: number, version: number): void {
  const files = Math.round(entries * FILES_PER_ENTRY);
  const plan = planTree({ files, bytes: files * BYTES_PER_FILE });
  writePieces(path, dumpLines(plan, version));
}
