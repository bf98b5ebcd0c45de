import { describe, expect, test } from "vitest";
import { getopt } from "#src/cli/command-line/getopt.ts";
import type { GetoptMode } from "#src/cli/command-line/getopt.ts";

const VALUE = {};
const KNOWN = [
  { name: "print-digest" },
  { name: "print-digest-only" },
  { name: "digest-store", value: VALUE },
  { name: "use-epoch" },
  { name: "user-xattrs" },
  { name: "help", short: "h" },
  { short: "o", value: VALUE },
  { short: "v" },
];

/** The outcome in one line: options as `name=value`, then operands, then the kind of problem. */
function read(args: string[], mode: GetoptMode = {}): string {
  const { options, operands, problem } = getopt(args, KNOWN, mode);
  const parts = options.map(({ option, value }) => {
    const name = option.name ?? option.short ?? "";
    return option.value === undefined ? name : `${name}=${value}`;
  });
  return [parts.join(" "), operands.join(" "), problem?.kind ?? ""].join("|");
}

describe("getopt: reads what getopt_long of the C library reads", () => {
  test.each([
    // args, options | operands | problem
    [["a", "--use-epoch", "b"], "use-epoch|a b|"],
    [["--digest-store=x=y", "a"], "digest-store=x=y|a|"],
    [["--digest-store", "x", "a"], "digest-store=x|a|"],
    [["--digest-store", "--use-epoch"], "digest-store=--use-epoch||"],
    [["--digest-store", "--", "a"], "digest-store=--|a|"],
    [["--digest-store="], "digest-store=||"],
    [["--digest", "x"], "digest-store=x||"],
    [["--d=x"], "digest-store=x||"],
    [["--print-digest"], "print-digest||"],
    [["--print-digest-o"], "print-digest-only||"],
    [["--use-"], "use-epoch||"],
    [["a", "--", "--use-epoch", "-v"], "|a --use-epoch -v|"],
    [["-", "--use-epoch"], "use-epoch|-|"],
    [["-vo", "x", "a"], "v o=x|a|"],
    [["-ox", "-v"], "o=x v||"],
    [["-o", "-v"], "o=-v||"],
    [["-ovx"], "o=vx||"],
    [[], "||"],
  ])("%j", (args, expected) => {
    expect(read(args)).toBe(expected);
  });
});

describe("getopt: stops at the first mistake and keeps what came before", () => {
  test.each([
    [["--use-epoch", "--print", "a"], "use-epoch||ambiguous"],
    [["--user", "--use", "x"], "user-xattrs||ambiguous"],
    [["--", "--nothing"], "|--nothing|"],
    [["--nothing", "--use-epoch"], "||unknown"],
    [["--use-epoch=1"], "||unwanted-value"],
    [["a", "--digest-store"], "|a|missing-value"],
    [["-v", "-o"], "v||missing-value"],
    [["-vx", "-v"], "v||unknown"],
    [["--=x"], "||ambiguous"],
  ])("%j", (args, expected) => {
    expect(read(args)).toBe(expected);
  });

  test("the message is the C library's", () => {
    expect(getopt(["--print"], KNOWN).problem?.message).toBe(
      "option '--print' is ambiguous; possibilities: '--print-digest' '--print-digest-only'",
    );
    expect(getopt(["-x"], KNOWN).problem?.message).toBe("invalid option -- 'x'");
  });
});

describe("getopt: with POSIXLY_CORRECT the first operand ends the options", () => {
  test.each([
    [["-v", "a", "-v"], "v|a -v|"],
    [["-", "--use-epoch"], "|- --use-epoch|"],
    [["--digest-store", "x", "--", "-v"], "digest-store=x|-v|"],
  ])("%j", (args, expected) => {
    expect(read(args, { posixlyCorrect: true })).toBe(expected);
  });
});
