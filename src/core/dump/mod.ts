/** composefs-dump(5): text that says what is in an image, a line for each entry. */

export { escapeBytes, unescapeBytes } from "./escape.ts";
export type { EscapeRules } from "./escape.ts";
export { formatDump, formatDumpEntries } from "./format.ts";
export type { DumpEntry } from "./format.ts";
export { lintDump } from "./lint.ts";
export type { DumpProblem } from "./lint.ts";
export { DumpParser, parseDump } from "./read.ts";
export type { DumpOptions } from "./read.ts";
