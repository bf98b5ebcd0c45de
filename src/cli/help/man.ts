/**
 * Man pages in the man(7) language, from the tables of the commands.
 */

import { formatOption, formatSynopsis, optionsWithHelp } from "../command-line/spec.ts";
import type {
  CommandSpec,
  Example,
  OptionSpec,
  ProgramSpec,
  Section,
} from "../command-line/spec.ts";
import { VERSION, VERSION_DATE } from "../version.ts";

/** The man page of a program. */
export function formatManPage(program: ProgramSpec): string {
  const lines = [
    `.\\" Written by \`npm run man\` from src/cli/table: do not edit.`,
    `.TH ${program.name.toUpperCase()} ${program.manual} ${VERSION_DATE} "composefs ${VERSION}"`,
    ".SH NAME",
    `${escape(program.name)} \\- ${escape(program.brief)}`,
    ".SH SYNOPSIS",
    synopsis(program, program.name),
    ".SH DESCRIPTION",
    ...paragraphs(program.description),
    ".SH OPTIONS",
    ...program.options.flatMap(optionEntry),
  ];
  if (program.commands !== undefined) {
    lines.push(".SH COMMANDS");
    for (const command of program.commands) lines.push(...subcommand(program, command));
  }
  for (const section of program.sections ?? []) {
    lines.push(`.SH ${escape(section.title.toUpperCase())}`, ...sectionBody(section));
  }
  lines.push(".SH EXIT STATUS", ...terms(program.exitStatus.map(([s, text]) => [`${s}`, text])));
  if (program.environment !== undefined) {
    lines.push(".SH ENVIRONMENT", ...terms(program.environment));
  }
  lines.push(".SH EXAMPLES", ...program.examples.flatMap(exampleEntry).slice(1));
  lines.push(".SH SEE ALSO", program.seeAlso.map(pageReference).join(",\n"));
  return `${lines.join("\n")}\n`;
}

function subcommand(program: ProgramSpec, command: CommandSpec): string[] {
  const title = `${program.name} ${command.name}`;
  const lines = [`.SS ${escape(title)}`, synopsis(command, title)];
  lines.push(".PP", ...paragraphs(command.description));
  lines.push(...optionsWithHelp(command).flatMap(optionEntry));
  for (const section of command.sections ?? []) {
    lines.push(".PP", `\\fI${escape(section.title)}\\fP.`, ...sectionBody(section));
  }
  lines.push(...command.examples.flatMap(exampleEntry));
  return lines;
}

function synopsis(command: CommandSpec, title: string): string {
  return `\\fB${escape(title)}\\fP ${escape(formatSynopsis(command))}`;
}

function optionEntry(option: OptionSpec): string[] {
  const details = option.details === undefined ? [] : [escape(option.details)];
  return [".TP", `\\fB${escape(formatOption(option))}\\fP`, `${escape(option.brief)}.`, ...details];
}

/** Begins with a paragraph macro, which the first one after a heading does without. */
function exampleEntry(example: Example): string[] {
  return [
    ".PP",
    `${escape(example.brief)}:`,
    ".PP",
    ".RS 4",
    ".EX",
    escape(example.command),
    ".EE",
    ".RE",
  ];
}

function sectionBody(section: Section): string[] {
  return [...paragraphs(section.paragraphs ?? []), ...terms(section.terms ?? [])];
}

function terms(rows: readonly (readonly [term: string, meaning: string])[]): string[] {
  return rows.flatMap(([term, meaning]) => [".TP", `\\fB${escape(term)}\\fP`, escape(meaning)]);
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text, i) => (i === 0 ? [escape(text)] : [".PP", escape(text)]));
}

/** `name(1)` with the name in bold. */
function pageReference(page: string): string {
  return `\\fB${escape(page.replace(/\(.*/, ""))}\\fP${page.replace(/^[^(]*/, "")}`;
}

/**
 * Keeps roff from reading a backslash, a minus, a leading dot or quote as its own; what stands between
 * backticks becomes bold.
 */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^[.']/, "\\&$&")
    .replace(/`([^`]+)`/g, "\\fB$1\\fP");
}
