/**
 * The text of `--help`: use, what it does, commands, options, examples, and of a program its
 * exit statuses and environment.
 */

import { formatOption, formatSynopsis, optionsWithHelp } from "../command-line/spec.ts";
import type { CommandSpec, ProgramSpec, Section } from "../command-line/spec.ts";

const WIDTH = 80;
const INDENT = "  ";
/** Terms that are longer than this get a line of their own. */
const TERM_COLUMN = 26;

type Command = CommandSpec & Partial<Pick<ProgramSpec, "commands" | "exitStatus" | "environment">>;

/** The help of a command; `title` is what is typed before its options (`composefs ls`). */
export function formatHelp(command: Command, title: string, heading = plain): string {
  const blocks = [`${heading("Use:")} ${title} ${formatSynopsis(command)}`];
  for (const paragraph of command.description) blocks.push(wrap(paragraph, "").join("\n"));
  if (command.commands !== undefined) {
    const rows = command.commands.map((sub) => [sub.name, sub.brief] as const);
    blocks.push(`${heading("Commands:")}\n${formatTerms(rows)}`);
  }
  const options = optionsWithHelp(command);
  blocks.push(
    `${heading("Options:")}\n${formatTerms(options.map((o) => [formatOption(o), o.brief]))}`,
  );
  for (const section of command.sections ?? []) blocks.push(formatSection(section, heading));
  const examples = command.examples.flatMap((example) => [
    `${INDENT}# ${example.brief}`,
    `${INDENT}${example.command}`,
  ]);
  blocks.push(`${heading("Examples:")}\n${examples.join("\n")}`);
  if (command.exitStatus !== undefined) {
    const rows = command.exitStatus.map(([status, meaning]) => [`${status}`, meaning] as const);
    blocks.push(`${heading("Exit status:")}\n${formatTerms(rows)}`);
  }
  if (command.environment !== undefined) {
    blocks.push(`${heading("Environment:")}\n${formatTerms(command.environment)}`);
  }
  if (command.commands !== undefined) {
    blocks.push(`\`${title} COMMAND --help\` tells more about a command.`);
  }
  return `${blocks.join("\n\n")}\n`;
}

/** The line that follows a mistake on the command line. */
export function formatUse(command: Command, title: string): string {
  return `Use: ${title} ${formatSynopsis(command)}`;
}

function formatSection(section: Section, heading: (text: string) => string): string {
  const parts = (section.paragraphs ?? []).map((text) => wrap(text, INDENT).join("\n"));
  if (section.terms !== undefined && section.terms.length > 0)
    parts.push(formatTerms(section.terms));
  return `${heading(`${section.title}:`)}\n${parts.join("\n")}`;
}

function formatTerms(rows: readonly (readonly [term: string, meaning: string])[]): string {
  const longest = Math.max(...rows.map(([term]) => (term.length > TERM_COLUMN ? 0 : term.length)));
  const column = " ".repeat(INDENT.length + longest + 2);
  return rows
    .map(([term, meaning]) => {
      const lines = wrap(meaning, column);
      if (term.length > longest) return [`${INDENT}${term}`, ...lines].join("\n");
      lines[0] = `${INDENT}${term.padEnd(longest)}  ${lines[0]!.trimStart()}`;
      return lines.join("\n");
    })
    .join("\n");
}

/** Breaks a text at spaces; each line begins with `indent`. */
function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > WIDTH) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(indent + line);
  return lines;
}

function plain(text: string): string {
  return text;
}
