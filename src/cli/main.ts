/**
 * The way into all commands, and the only way out: nothing else ends the process.
 */

import { BrokenPipe } from "./output.ts";
import { processIo } from "./io.ts";
import type { Io } from "./io.ts";
import { VERSION } from "./version.ts";

/** The programs of the package. */
export type ProgramName =
  | "composefs"
  | "composefs-dump"
  | "composefs-info"
  | "mkcomposefs"
  | "mount.composefs";

/** What each program's module offers: takes the arguments, returns the exit status. */
interface ProgramModule {
  run(args: readonly string[], io: Io): number | Promise<number>;
}

// Each program loads only what it uses: a command starts in the time of an empty script.
const PROGRAMS: Readonly<Record<ProgramName, () => Promise<ProgramModule>>> = {
  composefs: () => import("./umbrella.ts"),
  "composefs-dump": () => import("./drop-ins/composefs-dump.ts"),
  "composefs-info": () => import("./drop-ins/composefs-info.ts"),
  mkcomposefs: () => import("./drop-ins/mkcomposefs.ts"),
  "mount.composefs": () => import("./drop-ins/mount-composefs.ts"),
};

/** Runs a program with the arguments of this process, and ends the process. */
export async function main(program: ProgramName): Promise<never> {
  process.exit(await runProgram(program, processIo()));
}

async function runProgram(program: ProgramName, io: Io): Promise<number> {
  try {
    const status = await runOrFail(program, io);
    io.out.flush();
    io.err.flush();
    return status;
  } catch (error) {
    if (error instanceof BrokenPipe) return dieOfBrokenPipe();
    throw error;
  }
}

async function runOrFail(program: ProgramName, io: Io): Promise<number> {
  if (process.argv.length === 3 && process.argv[2] === "--version") {
    io.out.text(`${program} (composefs for Node.js) ${VERSION}\n`);
    return 0;
  }
  try {
    const { rawArguments } = await import("../floor/argv.ts");
    const { run } = await PROGRAMS[program]();
    const status = await run(rawArguments(), io);
    io.out.flush();
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
  const ignore = () => {};
  process.on("SIGPIPE", ignore).off("SIGPIPE", ignore);
  process.kill(process.pid, "SIGPIPE");
  return 141; // what a shell shows for SIGPIPE, should it be blocked
}
