/**
 * Completion for zsh, with its own `_arguments`. Can be sourced after `compinit`, or stand in `fpath`.
 */

import { optionsWithHelp } from "../spec.ts";
import type { CommandSpec, OperandSpec, OptionSpec, ProgramSpec, ValueKind } from "../spec.ts";

/** The script for all programs. */
export function formatZshCompletion(programs: readonly ProgramSpec[]): string {
  const names = programs.map((program) => program.name).join(" ");
  const functions = programs.flatMap((program) => [
    ...(program.commands ?? []).map((command) =>
      commandFunction(functionName(program.name, command.name), command),
    ),
    programFunction(program),
  ]);
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

function programFunction(program: ProgramSpec): string {
  const name = functionName(program.name);
  if (program.commands === undefined) return commandFunction(name, program);
  const commands = program.commands.map(
    (command) => `    ${quote(`${command.name}:${command.brief}`)}`,
  );
  const cases = program.commands.map(
    (command) => `    ${command.name}) ${functionName(program.name, command.name)} ;;`,
  );
  return [
    `${name}() {`,
    "  local -a commands=(",
    ...commands,
    "  )",
    "  local state line",
    "  _arguments -C \\",
    ...program.options.flatMap((option) => optionSpecs(option).map((spec) => `    ${spec} \\`)),
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
