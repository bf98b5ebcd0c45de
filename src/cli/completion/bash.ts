/**
 * Completion for bash 4 and newer, without the bash-completion package.
 */

import { optionsWithHelp } from "../spec.ts";
import type { CommandSpec, OptionSpec, ProgramSpec, ValueKind } from "../spec.ts";

/**
 * Finds out what stands at the cursor, and offers it. Arguments: index of the first word after the
 * command; names of the options; `name:action` of those with a value; actions of the operands, of
 * which the last repeats. An action is `file`, `dir`, `none` or words with `|` between.
 */
const REPLY_FUNCTION = `_composefs_reply() {
  local first=$1 options=$2 values=$3 operands=$4
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  local action= word before pair i count=0
  # bash cuts --name=value into three words
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for pair in $values; do
    [[ \${pair%%:*} == "$prev" ]] && action=\${pair#*:}
  done
  if [[ -z $action && $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    return
  fi
  if [[ -z $action ]]; then
    for ((i = first; i < COMP_CWORD; i++)); do
      word=\${COMP_WORDS[i]} before=\${COMP_WORDS[i-1]}
      [[ $before == = ]] && before=\${COMP_WORDS[i-2]}
      [[ $word == -* || $word == = || " $values" == *" $before:"* ]] || ((++count))
    done
    set -- $operands
    ((count < $#)) || count=$(($# - 1))
    shift "$count"
    action=\${1-none}
  fi
  case $action in
    file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    dir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    none) COMPREPLY=() ;;
    *) mapfile -t COMPREPLY < <(compgen -W "\${action//|/ }" -- "$cur") ;;
  esac
}`;

/** The script for all programs. */
export function formatBashCompletion(programs: readonly ProgramSpec[]): string {
  return `${[REPLY_FUNCTION, ...programs.map(programFunction)].join("\n\n")}\n`;
}

function programFunction(program: ProgramSpec): string {
  const name = functionName(program.name);
  const body =
    program.commands === undefined ? `  ${reply(1, program)}` : dispatch(program, program.commands);
  return `${name}() {\n${body}\n}\ncomplete -F ${name} ${program.name}`;
}

/** Goes to the subcommand that stands in the line, which is the first word that is no option. */
function dispatch(program: ProgramSpec, commands: readonly CommandSpec[]): string {
  const names = commands.map((command) => command.name);
  const operands = [{ name: "COMMAND", kind: { choices: names } }];
  return [
    "  local i=1",
    "  while ((i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} == -* ]]; do ((++i)); done",
    "  if ((i >= COMP_CWORD)); then",
    `    ${reply(1, { ...program, operands })}`,
    "    return",
    "  fi",
    "  case ${COMP_WORDS[i]} in",
    ...commands.map((command) => `    ${command.name}) ${reply("$((i + 1))", command)} ;;`),
    "  esac",
  ].join("\n");
}

function reply(first: number | string, command: CommandSpec): string {
  const options = optionsWithHelp(command);
  const values = options.flatMap((option) =>
    option.value === undefined
      ? []
      : spellings(option).map((spelling) => `${spelling}:${action(option.value!.kind)}`),
  );
  const operands = command.operands.map((operand) => action(operand.kind));
  const last = command.operands.at(-1);
  if (last !== undefined && last.variadic === undefined) operands.push("none");
  const words = [options.flatMap(spellings), values, operands];
  return `_composefs_reply ${first} ${words.map((list) => `'${list.join(" ")}'`).join(" ")}`;
}

function spellings(option: OptionSpec): string[] {
  const names: string[] = [];
  if (option.short !== undefined) names.push(`-${option.short}`);
  if (option.name !== undefined) names.push(`--${option.name}`);
  return names;
}

function action(kind: ValueKind): string {
  if (typeof kind === "object") return kind.choices.join("|");
  return kind === "file" ? "file" : kind === "directory" ? "dir" : "none";
}

function functionName(program: string): string {
  return `_complete_${program.replace(/[^a-z]/g, "_")}`;
}
