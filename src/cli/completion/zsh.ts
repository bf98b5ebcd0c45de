/**
 * Completion for zsh, with its own `_arguments`. Can be sourced after `compinit`, or stand in `fpath`.
 */

import { groupCommands, isCommandGroup, optionsWithHelp } from "../command-line/spec.ts";
import type {
  CommandSpec,
  OperandSpec,
  OptionSpec,
  ProgramSpec,
  ValueKind,
} from "../command-line/spec.ts";

/** The script for all programs. */
export function formatZshCompletion(programs: readonly ProgramSpec[]): string {
  const names = programs.map((program) => program.name).join(" ");
  const functions = programs.flatMap(programFunctions);
  const dispatch = programs.map(
    (program) => `    ${program.name}) ${functionName(program.name)} "$@" ;;`,
  );
  return [
    `#compdef ${names}`,
    ...functions,
    `_composefs_programs() {\n  case $service in\n${dispatch.join("\n")}\n  esac\n}`,
    // Autoloaded out of fpath, the file is the body of the function; sourced, it registers it.
    `if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n  _composefs_programs "$@"\nelse\n  compdef _composefs_programs ${names}\nfi`,
    "",
  ].join("\n\n");
}

function programFunctions(program: ProgramSpec): string[] {
  const { name, commands } = program;
  if (commands === undefined) return [commandFunction(functionName(name), program)];
  return groupFunctions([name], program.options, commands);
}

/** The functions of a program or group and of all that is in it. */
function groupFunctions(
  words: readonly string[],
  options: readonly OptionSpec[],
  commands: readonly CommandSpec[],
): string[] {
  const groups = [...groupCommands(commands)];
  const below = groups.flatMap(([word, entry]) =>
    isCommandGroup(entry)
      ? groupFunctions([...words, word], [], entry)
      : [commandFunction(functionName(...words, word), entry)],
  );
  const briefs = groups.map(([word, entry]) => {
    const brief = isCommandGroup(entry)
      ? `Commands: ${entry.map(({ name }) => name).join(", ")}`
      : entry.brief;
    return `    ${quote(`${word}:${brief}`)}`;
  });
  const cases = groups.map(([word]) => `    ${word}) ${functionName(...words, word)} ;;`);
  return [...below, dispatchFunction(functionName(...words), options, briefs, cases)];
}

function dispatchFunction(
  name: string,
  options: readonly OptionSpec[],
  briefs: readonly string[],
  cases: readonly string[],
): string {
  return [
    `${name}() {`,
    "  local -a commands=(",
    ...briefs,
    "  )",
    "  local state line",
    "  _arguments -C \\",
    ...options.flatMap((option) => optionSpecs(option).map((spec) => `    ${spec} \\`)),
    "    '1: :->command' '*:: :->rest'",
    "  [[ $state == command ]] && _describe command commands",
    "  [[ $state == rest ]] || return",
    "  case $line[1] in",
    ...cases,
    "  esac",
    "}",
  ].join("\n");
}

function commandFunction(name: string, command: CommandSpec): string {
  const options = optionsWithHelp(command);
  const specs = [
    ...options.flatMap(optionSpecs),
    ...command.operands.map((operand, i) => operandSpec(operand, i + 1)),
  ];
  return `${name}() {\n  _arguments -s -S \\\n${specs.map((spec) => `    ${spec}`).join(" \\\n")}\n}`;
}

function optionSpecs(option: OptionSpec): string[] {
  const once = option.repeatable === true ? "*" : "";
  const message = `[${option.brief.replace(/[[\]]/g, "\\$&")}]`;
  const { value } = option;
  const argument = value === undefined ? "" : `:${value.label}:${action(value.kind)}`;
  const specs: string[] = [];
  if (option.short !== undefined) specs.push(quote(`${once}-${option.short}${message}${argument}`));
  if (option.name !== undefined) {
    const equals = value === undefined ? "" : "=";
    specs.push(quote(`${once}--${option.name}${equals}${message}${argument}`));
  }
  return specs;
}

function operandSpec(operand: OperandSpec, position: number): string {
  const where = operand.variadic ? "*" : `${position}`;
  const optional = operand.optional ? "::" : ":";
  return quote(`${where}${optional}${operand.name}:${action(operand.kind)}`);
}

function action(kind: ValueKind): string {
  if (typeof kind === "object") return `(${kind.choices.join(" ")})`;
  return kind === "file" ? "_files" : kind === "directory" ? "_files -/" : " ";
}

function functionName(...parts: readonly string[]): string {
  return `_${parts.join("_").replace(/[^a-z_]/g, "_")}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
