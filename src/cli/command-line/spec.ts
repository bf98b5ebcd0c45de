/**
 * How a command describes itself: the one table that help, man pages, completions and the parsers of
 * the command line are made from.
 */

/** What a value or an operand is, for the completions. */
export type ValueKind =
  | "file"
  | "directory"
  | "number"
  | "text"
  | { readonly choices: readonly string[] };

/** An option. */
export interface OptionSpec {
  /** The long name without its dashes; none for an option of one letter only. */
  readonly name?: string;
  /** The one-letter name without its dash. */
  readonly short?: string;
  /** The value that follows; none for a flag. */
  readonly value?: { readonly label: string; readonly kind: ValueKind };
  /** May be given more than once, and each counts. */
  readonly repeatable?: true;
  /** One line without a full stop, for help and completions. */
  readonly brief: string;
  /** What the man page says beside it: whole sentences. */
  readonly details?: string;
}

/** An operand. */
export interface OperandSpec {
  /** In capitals. */
  readonly name: string;
  readonly kind: ValueKind;
  readonly optional?: true;
  /** Takes all that follow. Only the last operand can. */
  readonly variadic?: true;
}

/** A command line worth copying, and what it does. */
export interface Example {
  readonly command: string;
  readonly brief: string;
}

/** A section of its own on the man page: paragraphs, or terms with their meaning. */
export interface Section {
  readonly title: string;
  readonly paragraphs?: readonly string[];
  readonly terms?: readonly (readonly [term: string, meaning: string])[];
}

/** A command, or a subcommand of one. */
export interface CommandSpec {
  /** One word; two for a command of a group (`oci pull`). */
  readonly name: string;
  /** One line without a full stop. */
  readonly brief: string;
  /** Paragraphs for help and man page. */
  readonly description: readonly string[];
  readonly operands: readonly OperandSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  /** What is worth a heading of its own; also in the help. */
  readonly sections?: readonly Section[];
}

/** Commands by the word that is typed: a command, or a group of those that have a second word. */
export function groupCommands(
  commands: readonly CommandSpec[],
): ReadonlyMap<string, CommandSpec | readonly CommandSpec[]> {
  const groups = new Map<string, CommandSpec | readonly CommandSpec[]>();
  for (const command of commands) {
    const [word, second] = command.name.split(" ") as [string, string?];
    if (second === undefined) {
      groups.set(word, command);
      continue;
    }
    const group = (groups.get(word) ?? []) as readonly CommandSpec[];
    groups.set(word, [...group, { ...command, name: second }]);
  }
  return groups;
}

/** Whether what {@link groupCommands} found is a group. */
export function isCommandGroup(
  entry: CommandSpec | readonly CommandSpec[],
): entry is readonly CommandSpec[] {
  return Array.isArray(entry);
}

/** A program: what is started by its name. */
export interface ProgramSpec extends CommandSpec {
  /** Section of the manual. */
  readonly manual: 1 | 8;
  readonly commands?: readonly CommandSpec[];
  /** Exit statuses and what each says. */
  readonly exitStatus: readonly (readonly [status: number, meaning: string])[];
  readonly environment?: readonly (readonly [name: string, meaning: string])[];
  readonly seeAlso: readonly string[];
}

/** `--help` and `--version`, which every program has. */
export const HELP_OPTION: OptionSpec = { name: "help", brief: "Show this help and exit" };
export const VERSION_OPTION: OptionSpec = { name: "version", brief: "Show the version and exit" };

/** `--json`, of every command whose output is data; its help says in which shape. */
export const JSON_OPTION: OptionSpec = {
  name: "json",
  brief: "Print JSON, in the shape described below",
};

/** The section of the help that `--json` means; `terms` are the keys. */
export function jsonSection(intro: string, terms: Section["terms"] & object): Section {
  return { title: "JSON", paragraphs: [intro], terms };
}

/** How an option is written: `-o, --name=LABEL`. */
export function formatOption(option: OptionSpec): string {
  const label = option.value?.label;
  if (option.name === undefined) return `-${option.short}${label === undefined ? "" : ` ${label}`}`;
  const short = option.short === undefined ? "" : `-${option.short}, `;
  return `${short}--${option.name}${label === undefined ? "" : `=${label}`}`;
}

/** How an operand is written: `[IMAGE...]`. */
function formatOperand(operand: OperandSpec): string {
  const name = operand.variadic ? `${operand.name}...` : operand.name;
  return operand.optional ? `[${name}]` : name;
}

/** The synopsis after the command's name: `[OPTION...] SOURCE IMAGE`. */
export function formatSynopsis(command: CommandSpec & { readonly commands?: object }): string {
  const parts = command.options.length > 0 ? ["[OPTION...]"] : [];
  if (command.commands !== undefined) parts.push("COMMAND", "[ARGUMENT...]");
  return [...parts, ...command.operands.map(formatOperand)].join(" ");
}

/** All options of a command: `--help` works everywhere, also where the table does not list it. */
export function optionsWithHelp(command: CommandSpec): readonly OptionSpec[] {
  if (command.options.some((option) => option.name === HELP_OPTION.name)) return command.options;
  return [...command.options, HELP_OPTION];
}
