/** `composefs lint`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { lintDump } from "../../core/dump/lint.ts";
import type { DumpProblem } from "../../core/dump/lint.ts";
import { EXIT } from "../exit.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { writeJsonArray } from "../output/json.ts";
import { readChunks } from "../arguments/load-tree.ts";

/** Prints the mistakes of a dump file. */
export function run(invocation: Invocation, io: Io): number {
  const path = invocation.operands[0]!;
  const chunks: Uint8Array[] = [];
  readChunks("dump", path, (chunk) => chunks.push(Uint8Array.from(chunk)));
  const problems = lintDump(Buffer.concat(chunks));
  if (invocation.has("json")) {
    writeJsonArray(io.out, problems.map(jsonProblem));
  } else {
    const name = path === "-" ? "standard input" : displayText(path);
    for (const problem of problems) io.out.text(formatProblem(name, problem, io));
  }
  return problems.some(({ severity }) => severity === "error") ? EXIT.failure : EXIT.ok;
}

function jsonProblem({ line, field, severity, reason, hint }: DumpProblem): object {
  return { line, field, severity, reason, hint: hint ?? null };
}

/** In the form that editors and compilers share: `file:line: severity: reason`. */
function formatProblem(name: string, problem: DumpProblem, io: Io): string {
  const { line, field, severity, reason, hint } = problem;
  const shown = io.out.style(severity === "error" ? "red" : "yellow", severity);
  const text = `${name}:${line}: ${shown}: ${field}: ${reason}\n`;
  return hint === undefined ? text : `${text}  ${io.out.style("dim", `hint: ${hint}`)}\n`;
}
