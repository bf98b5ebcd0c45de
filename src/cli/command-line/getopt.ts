/**
 * Options as getopt_long(3) of the GNU C library reads them, for the commands that stand in for C's.
 *
 * Options may stand anywhere (unless POSIXLY_CORRECT is set), `--` ends them, a long name may be cut
 * as long as one name is meant, a value follows in the same word or in the next. Knows nothing of what
 * an option means.
 *
 * Source: getopt(3), glibc manual section 25.2.
 */

/** What the parser has to know of an option. */
export interface GetoptOption {
  /** The long name without its dashes; none for an option of one letter only. */
  readonly name?: string | undefined;
  /** The one-letter name without its dash. */
  readonly short?: string | undefined;
  /** The value that must follow; none for a flag. */
  readonly value?: object | undefined;
}

/** One option as it was found, in the order of the command line. */
export interface FoundOption<O extends GetoptOption> {
  readonly option: O;
  readonly value: string;
}

/** Why reading stopped before the end. */
export interface GetoptProblem {
  readonly kind: "unknown" | "ambiguous" | "missing-value" | "unwanted-value";
  /** In the words of the C library, without the command's name. */
  readonly message: string;
}

/** Everything the command line says. With a problem, `operands` are not complete. */
export interface GetoptResult<O extends GetoptOption> {
  readonly options: readonly FoundOption<O>[];
  readonly operands: readonly string[];
  /** The first mistake; the options before it count, because C has acted on them by then. */
  readonly problem: GetoptProblem | undefined;
}

/** How the command line is read. */
export interface GetoptMode {
  /** Stop at the first operand (the environment variable POSIXLY_CORRECT). */
  readonly posixlyCorrect?: boolean;
}

/** Reads `args`, which do not hold the command's own name. */
export function getopt<O extends GetoptOption>(
  args: readonly string[],
  known: readonly O[],
  mode: GetoptMode = {},
): GetoptResult<O> {
  const options: FoundOption<O>[] = [];
  const operands: string[] = [];
  let problem: GetoptProblem | undefined;
  for (let at = 0; at < args.length && problem === undefined; at++) {
    const word = args[at]!;
    if (word === "--") {
      operands.push(...args.slice(at + 1));
      break;
    }
    if (word === "-" || !word.startsWith("-")) {
      operands.push(word);
      if (!mode.posixlyCorrect) continue;
      operands.push(...args.slice(at + 1));
      break;
    }
    const read = word.startsWith("--") ? readLong : readShort;
    const outcome = read(word, args[at + 1], known);
    options.push(...outcome.found);
    if (outcome.tookNext) at++;
    problem = outcome.problem;
  }
  return { options, operands, problem };
}

interface Outcome<O extends GetoptOption> {
  readonly found: FoundOption<O>[];
  /** Whether the next word was the value. */
  readonly tookNext: boolean;
  readonly problem: GetoptProblem | undefined;
}

function readLong<O extends GetoptOption>(
  word: string,
  next: string | undefined,
  known: readonly O[],
): Outcome<O> {
  const equals = word.indexOf("=");
  const given = equals < 0 ? word.slice(2) : word.slice(2, equals);
  const candidates = known.filter((option) => option.name?.startsWith(given));
  const exact = candidates.find((option) => option.name === given);
  const option = exact ?? candidates[0];
  if (option === undefined) {
    return failed("unknown", `unrecognized option '--${given}'`);
  }
  if (exact === undefined && candidates.length > 1) {
    const names = candidates.map((candidate) => `'--${candidate.name}'`).join(" ");
    return failed("ambiguous", `option '--${given}' is ambiguous; possibilities: ${names}`);
  }
  if (option.value === undefined) {
    return equals < 0
      ? found(option, "", false)
      : failed("unwanted-value", `option '--${option.name}' doesn't allow an argument`);
  }
  if (equals >= 0) return found(option, word.slice(equals + 1), false);
  return next === undefined
    ? failed("missing-value", `option '--${option.name}' requires an argument`)
    : found(option, next, true);
}

/** Reads a word of letters: `-vo value`, `-ovalue`. */
function readShort<O extends GetoptOption>(
  word: string,
  next: string | undefined,
  known: readonly O[],
): Outcome<O> {
  const letters: FoundOption<O>[] = [];
  for (let i = 1; i < word.length; i++) {
    const letter = word[i]!;
    const option = known.find((candidate) => candidate.short === letter);
    if (option === undefined) {
      return failed("unknown", `invalid option -- '${letter}'`, letters);
    }
    if (option.value === undefined) {
      letters.push({ option, value: "" });
      continue;
    }
    const rest = word.slice(i + 1);
    const value = rest === "" ? next : rest;
    if (value === undefined) {
      return failed("missing-value", `option requires an argument -- '${letter}'`, letters);
    }
    letters.push({ option, value });
    return { found: letters, tookNext: rest === "", problem: undefined };
  }
  return { found: letters, tookNext: false, problem: undefined };
}

function found<O extends GetoptOption>(option: O, value: string, tookNext: boolean): Outcome<O> {
  return { found: [{ option, value }], tookNext, problem: undefined };
}

function failed<O extends GetoptOption>(
  kind: GetoptProblem["kind"],
  message: string,
  letters: FoundOption<O>[] = [],
): Outcome<O> {
  return { found: letters, tookNext: false, problem: { kind, message } };
}
