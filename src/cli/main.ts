/**
 * The way into all programs, and the only way out: nothing else ends the process.
 */

import { rawArguments } from "../floor/argv.ts";
import { processIo } from "./output/io.ts";
import type { Io } from "./output/io.ts";
import { BrokenPipe } from "./output/output.ts";

/** What a program's module offers: takes the arguments as byte strings, returns the exit status. */
export interface ProgramModule {
  run(args: readonly string[], io: Io): number | Promise<number>;
}

/** Runs a program with the arguments of this process, and ends the process. */
export async function main(program: string, load: () => Promise<ProgramModule>): Promise<never> {
  const io = processIo();
  let status: number;
  try {
    status = await runOrReport(program, load, io);
  } catch (error) {
    if (!(error instanceof BrokenPipe)) throw error;
    status = dieOfBrokenPipe();
  }
  // oxlint-disable-next-line unicorn/no-process-exit -- the one place that ends the process
  process.exit(status);
}

async function runOrReport(
  program: string,
  load: () => Promise<ProgramModule>,
  io: Io,
): Promise<number> {
  try {
    const module = await load();
    const status = await module.run(rawArguments(), io);
    io.out.flush();
    io.err.flush();
    return status;
  } catch (error) {
    if (error instanceof BrokenPipe) throw error;
    const { reportFailure } = await import("./report.ts");
    return reportFailure(program, error, io);
  }
}

/** Ends as a C program would when nobody reads its output: silently, by SIGPIPE. */
function dieOfBrokenPipe(): number {
  // Node ignores SIGPIPE; adding and removing a listener restores what the signal does by default.
  process.on("SIGPIPE", dieOfBrokenPipe).off("SIGPIPE", dieOfBrokenPipe);
  process.kill(process.pid, "SIGPIPE");
  return 141; // what a shell shows for SIGPIPE, should it be blocked
}
