/**
 * `composefs`: the command for people. commander reads the command line, from the same table that
 * help, man page and completions come from; each command is a module that is loaded when it runs.
 */

import { Command, CommanderError, Option } from "commander";

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import { formatHelp, formatUse } from "./help/help.ts";
import { Invocation } from "./command-line/invocation.ts";
import type { Io } from "./output/io.ts";
import { groupCommands, isCommandGroup } from "./command-line/spec.ts";
import type { CommandSpec, OptionSpec, ProgramSpec } from "./command-line/spec.ts";
import { COMMAND_GROUPS, COMPOSEFS } from "./table/composefs/composefs.ts";
import { versionLine } from "./version.ts";

/** What a command's module offers. */
interface CommandModule {
  run(invocation: Invocation, io: Io): number | Promise<number>;
}

/** The modules of the commands, by name; a test compares the names with the table. */
export const COMMAND_MODULES: Readonly<Record<string, () => Promise<CommandModule>>> = {
  bundle: () => import("./commands/bundle.ts"),
  completion: () => import("./commands/completion.ts"),
  diff: () => import("./commands/diff.ts"),
  digest: () => import("./commands/digest.ts"),
  dump: () => import("./commands/dump.ts"),
  explain: () => import("./commands/explain.ts"),
  export: () => import("./commands/export.ts"),
  images: () => import("./commands/images.ts"),
  inspect: () => import("./commands/inspect.ts"),
  lint: () => import("./commands/lint.ts"),
  ls: () => import("./commands/ls.ts"),
  missing: () => import("./commands/missing.ts"),
  mk: () => import("./commands/mk.ts"),
  mount: () => import("./commands/mount.ts"),
  objects: () => import("./commands/objects.ts"),
  pull: () => import("./commands/pull.ts"),
  push: () => import("./commands/push.ts"),
  "repo fsck": () => import("./commands/repo-fsck.ts"),
  "repo gc": () => import("./commands/repo-gc.ts"),
  "repo index": () => import("./commands/repo-index.ts"),
  "repo init": () => import("./commands/repo-init.ts"),
  "repo status": () => import("./commands/repo-status.ts"),
  rm: () => import("./commands/rm.ts"),
  seal: () => import("./commands/seal.ts"),
  tag: () => import("./commands/tag.ts"),
  umount: () => import("./commands/umount.ts"),
  unbundle: () => import("./commands/unbundle.ts"),
  untag: () => import("./commands/untag.ts"),
  verify: () => import("./commands/verify.ts"),
};

/** Runs the command line. Values and operands are byte strings; commander passes them on untouched. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let status = 0;
  const root = newCommand(COMPOSEFS, COMPOSEFS.name, io).version(
    versionLine(COMPOSEFS.name).trimEnd(),
    "--version",
  );
  root.helpOption("-h, --help").usage(" ");
  const onStatus = (done: number): void => void (status = done);
  for (const [word, entry] of groupCommands(COMPOSEFS.commands)) {
    if (!isCommandGroup(entry)) {
      root.addCommand(runnable(entry, word, io, onStatus));
      continue;
    }
    const group = newCommand(groupSpec(word, entry), `${COMPOSEFS.name} ${word}`, io);
    for (const spec of entry) {
      group.addCommand(runnable(spec, `${word} ${spec.name}`, io, onStatus));
    }
    root.addCommand(group);
  }
  if (args.length === 0) {
    io.err.text(helpText(COMPOSEFS, COMPOSEFS.name, io));
    return 2;
  }
  try {
    await root.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0; // help or version, which have been printed
    throw usageError(error, commandAt(args));
  }
  return status;
}

/** A command that runs its module; `name` is all that is typed for it. */
function runnable(
  spec: CommandSpec,
  name: string,
  io: Io,
  onStatus: (status: number) => void,
): Command {
  const command = newCommand(spec, `${COMPOSEFS.name} ${name}`, io);
  for (const option of spec.options) command.addOption(commanderOption(option));
  for (const operand of spec.operands) {
    const label = operand.variadic ? `${operand.name}...` : operand.name;
    command.argument(operand.optional ? `[${label}]` : `<${label}>`);
  }
  command.action(async () => {
    const module = await COMMAND_MODULES[name]!();
    onStatus(await module.run(invocationOf(spec, command), io));
  });
  return command;
}

/** What the help says about a group. */
function groupSpec(
  word: string,
  commands: readonly CommandSpec[],
): CommandSpec & { readonly commands: readonly CommandSpec[] } {
  return {
    name: word,
    brief: word,
    description: [COMMAND_GROUPS[word]!],
    operands: [],
    options: [],
    examples: commands.flatMap(({ examples }) => examples.slice(0, 1)),
    commands,
  };
}

function newCommand(spec: CommandSpec | ProgramSpec, title: string, io: Io): Command {
  const command = new Command(spec.name).exitOverride().configureOutput({
    writeOut: (text) => io.out.text(text),
    writeErr: () => {}, // errors are told by report.ts, with all others
  });
  command.helpInformation = () => helpText(spec, title, io);
  return command;
}

function helpText(spec: CommandSpec | ProgramSpec, title: string, io: Io): string {
  return formatHelp(spec, title, (text) => io.out.style("bold", text));
}

function commanderOption(spec: OptionSpec): Option {
  const short = spec.short === undefined ? "" : `-${spec.short}, `;
  const value = spec.value === undefined ? "" : ` <${spec.value.label}>`;
  const option = newOption(`${short}--${spec.name}${value}`, spec.brief);
  if (typeof spec.value?.kind === "object") option.choices(spec.value.kind.choices);
  if (spec.repeatable === true) {
    const check = option.parseArg; // of the choices
    option.argParser((word: string, before: string[] | undefined) => {
      check?.(word, undefined);
      return [...(before ?? []), word];
    });
  }
  return option;
}

/** An option that is what it is called: commander takes `--no-x` for an `--x` that is on unless told. */
function newOption(flags: string, brief?: string): Option {
  const option = new Option(flags, brief);
  option.negate = false;
  return option;
}

function invocationOf(spec: CommandSpec, command: Command): Invocation {
  const given = new Map<string, ByteString[]>();
  for (const { name, short } of spec.options) {
    const key = name ?? short!;
    const value: unknown = command.getOptionValue(newOption(`--${key}`).attributeName());
    if (value === undefined) continue;
    const values = Array.isArray(value) ? value : [value === true ? "" : value];
    given.set(key, values as ByteString[]);
  }
  return new Invocation(given, command.args as ByteString[]);
}

/** The command that a command line is about, as far as one can be made out. */
function commandAt(args: readonly string[]): CommandSpec | undefined {
  const [word, second] = args.filter((arg) => !arg.startsWith("-"));
  const entry = groupCommands(COMPOSEFS.commands).get(word ?? "");
  if (entry === undefined || !isCommandGroup(entry)) return entry;
  const named = entry.find(({ name }) => name === second);
  return named === undefined
    ? groupSpec(word!, entry)
    : { ...named, name: `${word} ${named.name}` };
}

function usageError(error: CommanderError, command: CommandSpec | undefined): ComposefsError {
  const title = command === undefined ? COMPOSEFS.name : `${COMPOSEFS.name} ${command.name}`;
  const [first = "", ...rest] = error.message.split("\n");
  // commander's word for a group without a command.
  const said = first === "(outputHelp)" ? "a command is missing" : first.replace(/^error: /, "");
  const what = displayText(said as ByteString);
  const hint = rest.map((line) => /^\((.*)\)$/.exec(line)?.[1]).find((line) => line !== undefined);
  const message = `${what.slice(0, 1).toUpperCase()}${what.slice(1)}`;
  return new ComposefsError("usage", `${message}\n${formatUse(command ?? COMPOSEFS, title)}`, {
    hint: hint ?? `\`${title} --help\` tells more`,
  });
}
