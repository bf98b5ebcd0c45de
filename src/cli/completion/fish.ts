/**
 * Completion for fish 3 and newer.
 */

import { groupCommands, isCommandGroup, optionsWithHelp } from "../command-line/spec.ts";
import type { CommandSpec, OptionSpec, ProgramSpec, ValueKind } from "../command-line/spec.ts";

/** The script for all programs. */
export function formatFishCompletion(programs: readonly ProgramSpec[]): string {
  return `${programs.flatMap(programLines).join("\n")}\n`;
}

function programLines(program: ProgramSpec): string[] {
  const base = `complete -c ${program.name}`;
  const lines = [`# ${program.name}`];
  if (program.commands === undefined) return [...lines, ...commandLines(base, "", program)];
  const none = `-n __fish_use_subcommand`;
  for (const option of program.options) lines.push(`${base} ${none} ${optionArguments(option)}`);
  const groups = groupCommands(program.commands);
  const groupWords = [...groups].filter(([, entry]) => isCommandGroup(entry)).map(([word]) => word);
  // A command may have the same name as one of a group.
  const outside = groupWords.length === 0 ? "" : `; and not ${seen(groupWords.join(" "))}`;
  for (const [word, entry] of groups) {
    if (!isCommandGroup(entry)) {
      lines.push(`${base} ${none} -f -a ${word} -d ${quote(entry.brief)}`);
      lines.push(...commandLines(base, ` -n '${seen(word)}${outside}'`, entry));
      continue;
    }
    const names = entry.map(({ name }) => name).join(" ");
    lines.push(`${base} ${none} -f -a ${word} -d ${quote(`Commands: ${names}`)}`);
    for (const command of entry) {
      const inGroup = `-n '${seen(word)}; and not ${seen(names)}'`;
      lines.push(`${base} ${inGroup} -f -a ${command.name} -d ${quote(command.brief)}`);
      const condition = ` -n '${seen(word)}; and ${seen(command.name)}'`;
      lines.push(...commandLines(base, condition, command));
    }
  }
  return lines;
}

function seen(words: string): string {
  return `__fish_seen_subcommand_from ${words}`;
}

function commandLines(base: string, condition: string, command: CommandSpec): string[] {
  const options = optionsWithHelp(command);
  const lines = options.map((option) => `${base}${condition} ${optionArguments(option)}`);
  // Files are what fish offers for operands anyway.
  const [first] = command.operands;
  if (typeof first?.kind === "object") {
    const words = first.kind.choices.join(" ");
    const fresh = condition === "" ? ` -n 'not __fish_seen_subcommand_from ${words}'` : condition;
    lines.push(`${base}${fresh} -f -a ${quote(words)}`);
  }
  return lines;
}

function optionArguments(option: OptionSpec): string {
  const parts: string[] = [];
  if (option.short !== undefined) parts.push(`-s ${option.short}`);
  if (option.name !== undefined) parts.push(`-l ${option.name}`);
  if (option.value !== undefined) parts.push(valueArguments(option.value.kind));
  return [...parts, `-d ${quote(option.brief)}`].join(" ");
}

function valueArguments(kind: ValueKind): string {
  if (typeof kind === "object") return `-x -a ${quote(kind.choices.join(" "))}`;
  switch (kind) {
    case "file":
      return "-r -F";
    case "directory":
      return "-x -a '(__fish_complete_directories)'";
    case "number":
    case "text":
      return "-x";
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
