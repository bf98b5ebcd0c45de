/** The command line as clap reads it. */

import { describe, expect, test } from "vitest";
import { readClap } from "#src/cli/command-line/clap.ts";
import type { ClapProgram } from "#src/cli/command-line/clap.ts";
import type { CommandSpec } from "#src/cli/command-line/spec.ts";
import { ComposefsError } from "#src/core/mod.ts";

const command = (name: string, rest: object = {}): CommandSpec & { readonly name: string } => ({
  name,
  brief: name,
  description: [],
  operands: [],
  options: [],
  examples: [],
  ...rest,
});

const flag = (name: string, rest: object = {}) => ({ name, brief: name, ...rest });
const value = (name: string, rest: object = {}) =>
  flag(name, { value: { label: "V", kind: "text" }, ...rest });

const PROGRAM: ClapProgram = {
  ...command("tool", { options: [value("place"), flag("here"), flag("version")] }),
  manual: 1,
  exitStatus: [],
  seeAlso: [],
  exclusive: [["place", "here"]],
  passedOn: ["other"],
  commands: [
    command("sweep", {
      aliases: ["clean"],
      options: [value("root", { short: "r", repeatable: true }), flag("dry", { short: "n" })],
    }),
    command("group pick", {
      operands: [
        { name: "ONE", kind: "file" },
        { name: "TWO", kind: "text", optional: true },
      ],
      options: [
        value("digit", { value: { label: "D", kind: { choices: ["1", "2"] } } }),
        value("even"),
        flag("big"),
      ],
      requires: [["even", "big"]],
      checks: { even: (text: string) => (Number(text) % 2 === 0 ? undefined : "odd") },
    }),
    command("group many", {
      operands: [{ name: "ALL", kind: "text", optional: true, variadic: true }],
    }),
  ],
};

const read = (line: string) => readClap(PROGRAM, line === "" ? [] : line.split(" "));

function ran(line: string): string {
  const call = read(line);
  if (call.kind !== "run") throw new Error(call.kind);
  const { globals, invocation } = call;
  const globalText = ["place", "here"].filter((name) => globals.has(name));
  const options = ["root", "dry", "digit", "even", "big"]
    .filter((name) => invocation.has(name))
    .map((name) => `${name}=${invocation.values(name).join("+")}`);
  return [...globalText, call.command, ...options, ...invocation.operands].join(" ");
}

describe("readClap", () => {
  test.each([
    ["sweep", "sweep"],
    ["clean", "sweep"],
    ["--place x sweep", "place sweep"],
    ["--place=x sweep", "place sweep"],
    ["--place - sweep", "place sweep"],
    ["--here sweep -n", "here sweep dry="],
    ["sweep -nr a", "sweep root=a dry="],
    ["sweep -nra -r=b --root c --root=-d", "sweep root=a+b+c+-d dry="],
    ["group pick a", "group pick a"],
    ["group pick --big a --even 4 b", "group pick even=4 big= a b"],
    ["group pick -- -a", "group pick -a"],
    ["group many a b c", "group many a b c"],
    ["group many", "group many"],
  ])("%j runs %j", (line, expected) => {
    expect(ran(line)).toBe(expected);
  });

  test.each([
    "--place",
    "--place -x sweep",
    "--here",
    "--here --here sweep",
    "--here --place x sweep",
    "--her sweep",
    "--here=1 sweep",
    "-- sweep",
    "nothing",
    "pick a",
    "group nothing",
    "sweep extra",
    "sweep -r",
    "sweep -r -n",
    "sweep -x",
    "sweep -n=1",
    "sweep -n -n",
    "sweep --place x",
    "sweep --version",
    "group pick",
    "group pick a b c",
    "group pick a --digit 3",
    "group pick a --even 4",
    "group pick a --big --even 3",
    "group pick a --big --even 4 --even 4",
    "group pick --big=1 a",
    "help nothing",
  ])("%j makes no sense", (line) => {
    expect(() => read(line)).toThrow(ComposefsError);
  });

  test.each([
    ["", [], false],
    ["-h", [], true],
    ["--here --help", [], true],
    ["help", [], true],
    ["group", ["group"], false],
    ["group -h", ["group"], true],
    ["help group pick", ["group", "pick"], true],
    ["group help pick", ["group", "pick"], true],
    ["group pick a b --help c d", ["group", "pick"], true],
    ["sweep --help", ["sweep"], true],
  ])("%j asks for help", (line, words, asked) => {
    expect(read(line)).toEqual({ kind: "help", words, asked });
  });

  test("a mistake before --help counts, one behind it does not", () => {
    expect(() => read("group pick --digit 3 --help")).toThrow(/Invalid value "3"/);
    expect(read("group pick --help --digit 3").kind).toBe("help");
  });

  test("an empty path and a text that is not UTF-8 are refused", () => {
    expect(() => readClap(PROGRAM, ["group", "pick", ""])).toThrow(/not empty/);
    expect(readClap(PROGRAM, ["group", "pick", "\xff"]).kind).toBe("run");
    expect(() => readClap(PROGRAM, ["group", "pick", "a", "\xff"])).toThrow(/not UTF-8/);
  });

  test("passes the arguments of other programs on as they are", () => {
    expect(read("--here other --help -- x")).toEqual({
      kind: "pass-on",
      command: "other",
      args: ["--help", "--", "x"],
    });
  });

  test("knows its version", () => {
    expect(read("-V")).toEqual({ kind: "version" });
    expect(read("--here --version")).toEqual({ kind: "version" });
  });
});
