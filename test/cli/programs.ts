/** Runs the programs as users do: bin/NAME in a process of its own. */

import { fileURLToPath } from "node:url";
import { run } from "../support/run.ts";
import type { Finished, RunOptions } from "../support/run.ts";

/** The programs of the package. */
export type Program =
  | "cfsctl"
  | "composefs"
  | "composefs-dump"
  | "composefs-info"
  | "mkcomposefs"
  | "mount.composefs";

/** The path of a program's launcher. */
export function bin(program: Program): string {
  return fileURLToPath(new URL(`../../bin/${program}`, import.meta.url));
}

/** Runs a program to its end. */
export function runProgram(
  program: Program,
  args: readonly string[],
  options: RunOptions = {},
): Finished {
  return run(bin(program), args, options);
}

/** A small dump with one of everything that a listing shows. */
export const SAMPLE_DUMP = `/ 0 40755 3 0 0 0 1700000000.0 - - -
/dir 0 40700 2 1000 1000 0 1700000000.5 - - - user.a=b\\x00c
/dir/big 5000 100644 1 1000 1000 0 1700000060.0 52/d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408 - 52d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408
/dir/inline\\x20file 3 104755 2 0 0 0 -1.0 - a\\x20b -
/fifo 0 10644 1 0 0 0 0.0 - - -
/link 3 120777 1 0 0 0 0.0 a\\xffb - -
/more 0 @100755 2 0 0 0 0.0 /dir/inline\\x20file - -
/null 0 20666 1 0 0 259 0.0 - - -
/sparse 70000 100600 1 0 0 0 0.0 - - -
/twice 5000 100644 1 0 0 0 0.0 52/d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408 - 52d02f81325122d77ec1d11baba655bc9bf8a891ab26119a41c50fa03ddfb408
`;

/** Our `cfsctl`, called as `runPeer` of support/cfsctl.ts calls that of composefs-rs. */
export function runCfsctl(args: readonly string[], options: RunOptions = {}): Finished {
  return runProgram("cfsctl", args, options);
}
