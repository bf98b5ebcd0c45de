/**
 * The way into all programs, and the only way out: nothing else ends the process.
 */

import { processIo } from "./io.ts";
import type { Io } from "./io.ts";
import { BrokenPipe } from "./output.ts";
import { versionLine } from "./version.ts";

/** What a program's module offers: takes the arguments as byte strings, returns the exit status. */
export interface ProgramModule {
  run(args: readonly string[], io: Io): number | Promise<number>;
}

/**
 * Runs a program with the arguments of this process, and ends the process. `load` is called only when
 * the program has something to do, so that an answer to `--version` costs no more than an empty script.
 */
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
    const status = await run(program, load, io);
    io.out.flush();
    io.err.flush();
    return status;
  } catch (error) {
    if (error instanceof BrokenPipe) throw error;
    const { reportFailure } = await import("./report.ts");
    return reportFailure(program, error, io);
  }
}

async function run(program: string, load: () => Promise<ProgramModule>, io: Io): Promise<number> {
  if (process.argv.length === 3 && process.argv[2] === "--version") {
    io.out.text(versionLine(program));
    return 0;
  }
  const { rawArguments } = await import("../floor/argv.ts");
  const module = await load();
  return module.run(rawArguments(), io);
}

/** Ends as a C program would when nobody reads its output: silently, by SIGPIPE. */
function dieOfBrokenPipe(): number {
  // Node ignores SIGPIPE; adding and removing a listener restores what the signal does by default.
  process.on("SIGPIPE", dieOfBrokenPipe).off("SIGPIPE", dieOfBrokenPipe);
  process.kill(process.pid, "SIGPIPE");
  return 141; // what a shell shows for SIGPIPE, should it be blocked
}
