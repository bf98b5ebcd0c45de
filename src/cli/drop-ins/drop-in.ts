/**
 * What the commands that stand in for C's have in common: their command line is read by getopt, and a
 * mistake in it prints the use on standard error and exits with 1.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { getopt } from "../command-line/getopt.ts";
import type { GetoptProblem } from "../command-line/getopt.ts";
import { formatHelp, formatUse } from "../help/help.ts";
import { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import type { ProgramSpec } from "../command-line/spec.ts";
import { versionLine } from "../version.ts";

/** A command line as read so far. */
export interface DropInCall {
  readonly invocation: Invocation;
  /** The first mistake; what was read before it stands in `invocation`. */
  readonly problem: GetoptProblem | undefined;
}

/**
 * Reads a command line. Returns an exit status where `--help` or `--version` has been answered: they
 * count as soon as they are met, before any mistake that follows.
 */
export function readCommandLine(
  program: ProgramSpec,
  args: readonly string[],
  io: Io,
): DropInCall | number {
  const posixlyCorrect = io.env["POSIXLY_CORRECT"] !== undefined;
  const { options, operands, problem } = getopt(args, program.options, { posixlyCorrect });
  const given = new Map<string, ByteString[]>();
  for (const { option, value } of options) {
    if (option.name === "help") return showHelp(program, io);
    if (option.name === "version") {
      io.out.text(versionLine(program.name));
      return 0;
    }
    const key = option.name ?? option.short!;
    const values = given.get(key) ?? [];
    values.push(value as ByteString); // a part of an argument: bytes, as all arguments are
    given.set(key, values);
  }
  return { invocation: new Invocation(given, operands as ByteString[]), problem };
}

/** Prints the help. */
export function showHelp(program: ProgramSpec, io: Io): number {
  io.out.text(formatHelp(program, program.name, (text) => io.out.style("bold", text)));
  return 0;
}

/** The error for a command line that makes no sense. */
export function usageError(program: ProgramSpec, message: string): ComposefsError {
  return new ComposefsError("usage", `${message}\n${formatUse(program, program.name)}`, {
    hint: `\`${program.name} --help\` tells more`,
  });
}
