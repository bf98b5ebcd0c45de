/**
 * A command line as clap 4 reads it, for the command that stands in for cfsctl.
 *
 * What commander, which reads `composefs`, has otherwise: global options stand before the command alone;
 * an option that is no list may stand once; a value never begins with a dash (`--name=-x` is the way);
 * short options may be joined, their value too (`-nr NAME`, `-rNAME`, `-r=NAME`); what excludes or needs
 * what is checked. Values are the bytes that were typed. Commands of a group have two words as their name.
 *
 * Source: the documentation of clap 4.5, and what cfsctl 0.9 answers.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { formatUse } from "../help/help.ts";
import { Invocation } from "./invocation.ts";
import type { CommandSpec, OperandSpec, OptionSpec, ProgramSpec } from "./spec.ts";

/** A command with what clap checks beyond its options and operands. */
export interface ClapCommand extends CommandSpec {
  /** Other names. */
  readonly aliases?: readonly string[];
  /** Options of which only one may be given. */
  readonly exclusive?: readonly (readonly string[])[];
  /** An option, and another that has to be given with it. */
  readonly requires?: readonly (readonly [option: string, needed: string])[];
  /** Options that have to be given. */
  readonly needed?: readonly string[];
  /** What is wrong with a value, by the name of its option or operand. */
  readonly checks?: Readonly<Record<string, (value: ByteString) => string | undefined>>;
}

/** A program with such commands. */
export interface ClapProgram extends ProgramSpec, ClapCommand {
  readonly commands: readonly ClapCommand[];
  /** Commands that get their arguments as they are, and stand in no help. */
  readonly passedOn: readonly string[];
}

/** What a command line asks for. */
export type ClapCall =
  | { readonly kind: "version" }
  /** `words` name the command or the group; none for the program. */
  | { readonly kind: "help"; readonly words: readonly string[]; readonly asked: boolean }
  | { readonly kind: "pass-on"; readonly command: string; readonly args: readonly string[] }
  | {
      readonly kind: "run";
      readonly command: string;
      readonly globals: Invocation;
      readonly invocation: Invocation;
    };

type ClapHelp = ClapCall & { readonly kind: "help" };

/** Reads a command line. Throws `usage`. */
export function readClap(program: ClapProgram, args: readonly string[]): ClapCall {
  if (args.length === 0) return { kind: "help", words: [], asked: false };
  const globals = readLevel(program, program.name, args, 0);
  if (globals.stop === "version") return { kind: "version" };
  if (globals.stop === "help") return { kind: "help", words: [], asked: true };
  const word = args[globals.at];
  const operands = globals.invocation.operands;
  if (word === undefined || operands.length > 0) throw unknownCommand(program, operands[0] ?? word);
  if (program.passedOn.includes(word)) {
    return { kind: "pass-on", command: word, args: args.slice(globals.at + 1) };
  }
  if (word === "help") return helpFor(program, args.slice(globals.at + 1));
  const found = findCommand(program, args, globals.at);
  if ("words" in found) return found;
  const title = `${program.name} ${found.command.name}`;
  const level = readLevel(found.command, title, args, found.at);
  if (level.stop !== undefined) {
    return { kind: "help", words: found.command.name.split(" "), asked: true };
  }
  // A mistake of the command comes first, as it is met first.
  checkTogether(program, program.name, globals.invocation);
  return {
    kind: "run",
    command: found.command.name,
    globals: globals.invocation,
    invocation: level.invocation,
  };
}

/** The command that begins at `args[at]`, or the answer where a group is not followed by one. */
function findCommand(
  program: ClapProgram,
  args: readonly string[],
  at: number,
): { readonly command: ClapCommand; readonly at: number } | ClapHelp {
  const word = args[at]!;
  const single = named(program, word);
  if (single !== undefined) return { command: single, at: at + 1 };
  if (!isGroup(program, word)) throw unknownCommand(program, word);
  const next = args[at + 1];
  if (next === undefined) return { kind: "help", words: [word], asked: false };
  if (next === "-h" || next === "--help") return { kind: "help", words: [word], asked: true };
  if (next === "help") return helpFor(program, [word, ...args.slice(at + 2)]);
  const command = named(program, `${word} ${next}`);
  if (command === undefined) throw unknownCommand(program, `${word} ${next}`);
  return { command, at: at + 2 };
}

function named(program: ClapProgram, name: string): ClapCommand | undefined {
  return program.commands.find((one) => one.name === name || one.aliases?.includes(name) === true);
}

function isGroup(program: ClapProgram, word: string): boolean {
  return program.commands.some((command) => command.name.startsWith(`${word} `));
}

function helpFor(program: ClapProgram, words: readonly string[]): ClapHelp {
  const name = words.filter((word) => !word.startsWith("-")).join(" ");
  const known = name === "" || named(program, name) !== undefined || isGroup(program, name);
  if (!known) throw unknownCommand(program, name);
  return { kind: "help", words: name === "" ? [] : name.split(" "), asked: true };
}

interface Level {
  /** Where reading stopped: after the last word, or (of the program) at the command. */
  readonly at: number;
  readonly invocation: Invocation;
  /** Met before anything that is wrong. */
  readonly stop: "help" | "version" | undefined;
}

/** Reads the options and operands of a command, or of the program up to its command. */
function readLevel(
  spec: ClapCommand | ClapProgram,
  title: string,
  args: readonly string[],
  start: number,
): Level {
  const isProgram = "commands" in spec;
  const given = new Map<string, ByteString[]>();
  const operands: ByteString[] = [];
  const fail = (message: string): never => {
    throw usage(message, spec, title);
  };
  const level = (stop?: Level["stop"], end = at): Level => {
    return { at: end, invocation: new Invocation(given, operands), stop };
  };

  const addOperand = (word: ByteString): void => {
    const operand = operandAt(spec, operands.length);
    if (operand === undefined) return fail(`Unexpected argument ${quoted(word)}`);
    const wrong = problemOf(spec, operand.name, operand.kind, word);
    if (wrong !== undefined) fail(`Invalid value ${quoted(word)} for ${operand.name}: ${wrong}`);
    operands.push(word);
  };
  const addOption = (option: OptionSpec, value: ByteString): void => {
    const key = option.name ?? option.short!;
    const before = given.get(key) ?? [];
    if (before.length > 0 && option.repeatable !== true) {
      fail(`Option ${spelled(option)} may be given once`);
    }
    if (option.value !== undefined) {
      const wrong = problemOf(spec, key, option.value.kind, value);
      if (wrong !== undefined) {
        fail(`Invalid value ${quoted(value)} for ${spelled(option)}: ${wrong}`);
      }
    }
    given.set(key, [...before, value]);
  };
  /** The value of an option: what stood in its word, else the next word, unless that is an option. */
  const takeValue = (option: OptionSpec, inWord: string | undefined): ByteString => {
    if (inWord !== undefined) return inWord as ByteString;
    const next = args[at + 1];
    if (next === undefined || (next.startsWith("-") && next !== "-")) {
      return fail(`Option ${spelled(option)} needs a value`);
    }
    at++;
    return next as ByteString;
  };

  let at = start;
  for (; at < args.length; at++) {
    const word = args[at]!;
    if (word === "--") {
      for (const rest of args.slice(at + 1)) {
        if (isProgram) throw unknownCommand(spec, rest);
        addOperand(rest as ByteString);
      }
      at = args.length;
      break;
    }
    if (word === "-" || !word.startsWith("-")) {
      if (isProgram) return level();
      addOperand(word as ByteString);
      continue;
    }
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const inWord = equals < 0 ? undefined : word.slice(equals + 1);
      if (name === "help" && inWord === undefined) return level("help");
      if (name === "version" && isProgram && inWord === undefined) return level("version");
      const option = spec.options.find((one) => one.name === name);
      if (option === undefined) return fail(`Unexpected argument ${quoted(`--${name}`)}`);
      if (option.value === undefined) {
        if (inWord !== undefined) fail(`Option ${spelled(option)} takes no value`);
        addOption(option, "" as ByteString);
      } else {
        addOption(option, takeValue(option, inWord));
      }
      continue;
    }
    for (let i = 1; i < word.length; i++) {
      const letter = word[i]!;
      if (letter === "h") return level("help");
      if (letter === "V" && isProgram) return level("version");
      const option = spec.options.find((one) => one.short === letter);
      if (option === undefined) return fail(`Unexpected argument ${quoted(`-${letter}`)}`);
      if (option.value === undefined) {
        if (word[i + 1] === "=") fail(`Option ${spelled(option)} takes no value`);
        addOption(option, "" as ByteString);
        continue;
      }
      const rest = word.slice(word[i + 1] === "=" ? i + 2 : i + 1);
      addOption(option, takeValue(option, rest === "" && word.length === i + 1 ? undefined : rest));
      break;
    }
  }
  const done = level();
  if (!isProgram) {
    checkTogether(spec, title, done.invocation);
    const missing = spec.operands[operands.length];
    if (missing !== undefined && missing.optional !== true) fail(`Missing operand ${missing.name}`);
    const absent = spec.needed?.find((name) => !given.has(name));
    if (absent !== undefined) fail(`Option --${absent} is missing`);
  }
  return done;
}

function operandAt(spec: CommandSpec, index: number): OperandSpec | undefined {
  const last = spec.operands.at(-1);
  return spec.operands[index] ?? (last?.variadic === true ? last : undefined);
}

/** Checks what excludes and what needs what. */
function checkTogether(spec: ClapCommand, title: string, invocation: Invocation): void {
  for (const names of spec.exclusive ?? []) {
    const [first, second] = names.filter((name) => invocation.has(name));
    if (second !== undefined) {
      throw usage(`Options --${first} and --${second} exclude each other`, spec, title);
    }
  }
  for (const [name, needed] of spec.requires ?? []) {
    if (invocation.has(name) && !invocation.has(needed)) {
      throw usage(`Option --${name} needs --${needed}`, spec, title);
    }
  }
}

/** What is wrong with a value, in words. */
function problemOf(
  spec: ClapCommand,
  name: string,
  kind: OperandSpec["kind"],
  value: ByteString,
): string | undefined {
  if (typeof kind === "object") {
    return kind.choices.includes(value) ? undefined : `expected ${kind.choices.join(", ")}`;
  }
  if (kind === "file" || kind === "directory") {
    if (value === "") return "a path is not empty";
  } else if (!isUtf8(value)) {
    return "not UTF-8";
  }
  return spec.checks?.[name]?.(value);
}

function isUtf8(value: ByteString): boolean {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.from(bytes.toString("utf8"), "utf8").equals(bytes);
}

function spelled(option: OptionSpec): string {
  return option.name === undefined ? `-${option.short}` : `--${option.name}`;
}

function quoted(word: string): string {
  return `"${displayText(word as ByteString)}"`;
}

function unknownCommand(program: ClapProgram, word: string | undefined): ComposefsError {
  const message = word === undefined ? "No command given" : `Unknown command ${quoted(word)}`;
  return usage(message, program, program.name);
}

function usage(message: string, spec: CommandSpec, title: string): ComposefsError {
  return new ComposefsError("usage", `${message}\n${formatUse(spec, title)}`, {
    hint: `\`${title} --help\` tells more`,
  });
}
