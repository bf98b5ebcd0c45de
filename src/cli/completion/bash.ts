/**
 * Completion for bash 4 and newer, without the bash-completion package.
 */

import { groupCommands, isCommandGroup, optionsWithHelp } from "../command-line/spec.ts";
import type { CommandSpec, OptionSpec, ProgramSpec, ValueKind } from "../command-line/spec.ts";

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
  return [
    "  local i=1",
    "  while ((i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} == -* ]]; do",
    ...skipValue(program),
    "    ((++i))",
    "  done",
    ...choose(program, commands).map((line) => `  ${line}`),
  ].join("\n");
}

/** Lines that complete a command at word `i`, or what follows it. */
function choose(parent: CommandSpec, commands: readonly CommandSpec[]): string[] {
  const groups = groupCommands(commands);
  const operands = [{ name: "COMMAND", kind: { choices: [...groups.keys()] } }];
  return [
    "if ((i >= COMP_CWORD)); then",
    `  ${reply("$i", { ...parent, operands })}`,
    "  return",
    "fi",
    "case ${COMP_WORDS[i]} in",
    ...[...groups].flatMap(([word, entry]) => {
      if (!isCommandGroup(entry)) return [`  ${word}) ${reply("$((i + 1))", entry)} ;;`];
      const lines = ["((++i))", ...choose({ ...parent, options: [] }, entry)];
      return [`  ${word})`, ...lines.map((line) => `    ${line}`), "    ;;"];
    }),
    "esac",
  ];
}

/** Lines that go on to the value where an option of the program takes one: bash cuts `--name=value` in three. */
function skipValue(program: ProgramSpec): string[] {
  const names = program.options.filter((option) => option.value !== undefined).flatMap(spellings);
  if (names.length === 0) return [];
  return [
    `    if [[ ' ${names.join(" ")} ' == *" \${COMP_WORDS[i]} "* ]]; then`,
    "      [[ ${COMP_WORDS[i+1]} == = ]] && ((++i))",
    "      ((++i))",
    "    fi",
  ];
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
