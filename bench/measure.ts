/**
 * Runs a command and measures it: time on the wall, time of the processors, peak memory.
 *
 * Each command runs under a small process of its own (this bundle with `--measure`), because the kernel
 * tells the peak memory of ended children only as one maximum over all of them (getrusage(2)).
 */

import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import koffi from "koffi";

/** A command to run. Its standard output goes to a file, or nowhere. */
export interface Command {
  readonly argv: readonly string[];
  readonly stdoutPath?: string;
  /** The exit status that it ends with, 0 unless told: `composefs diff` has 3 where there are differences. */
  readonly status?: number;
}

/** What a run took. */
export interface Measured {
  /** Seconds on the wall. */
  readonly seconds: number;
  /** Seconds of all processors, in the program and in the kernel. */
  readonly cpuSeconds: number;
  /** Peak resident memory of the largest process, in bytes. */
  readonly peakMemory: number;
}

const RUSAGE_CHILDREN = -1;
/** `struct rusage` on 64-bit Linux: user time, system time (both seconds and microseconds), maxrss in KiB. */
const RUSAGE_SIZE = 144;

/** Runs the command and waits for it. Throws when it fails: a failed run is no measurement. */
export function measure(command: Command): Measured {
  const done = spawnSync(
    process.execPath,
    [process.argv[1]!, "--measure", JSON.stringify(command)],
    { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" },
  );
  if (done.status !== (command.status ?? 0))
    throw new Error(`Cannot measure \`${shellLine(command)}\`: it failed`);
  return JSON.parse(done.stdout) as Measured;
}

/** The body of the small process: runs the command, prints a `Measured` as JSON, returns the status. */
export function measureHere(json: string): number {
  const { argv, stdoutPath } = JSON.parse(json) as Command;
  const stdout = stdoutPath === undefined ? "ignore" : openSync(stdoutPath, "w");
  const start = process.hrtime.bigint();
  const done = spawnSync(argv[0]!, argv.slice(1), { stdio: ["ignore", stdout, "inherit"] });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (typeof stdout === "number") closeSync(stdout);
  if (done.error !== undefined) throw done.error;

  const usage = new DataView(new ArrayBuffer(RUSAGE_SIZE));
  const getrusage = koffi.load("libc.so.6").func("int getrusage(int who, void *usage)");
  getrusage(RUSAGE_CHILDREN, new Uint8Array(usage.buffer));
  const field = (index: number): number => Number(usage.getBigInt64(8 * index, true));
  const cpuSeconds = field(0) + field(2) + (field(1) + field(3)) / 1e6;
  const measured: Measured = { seconds, cpuSeconds, peakMemory: field(4) * 1024 };
  console.log(JSON.stringify(measured));
  return done.status ?? 1;
}

/** The command as one would type it. */
export function shellLine(command: Command): string {
  const quoted = command.argv.map((arg) =>
    /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`,
  );
  const { stdoutPath } = command;
  return [...quoted, ...(stdoutPath === undefined ? [] : [">", stdoutPath])].join(" ");
}
