/**
 * Finds the mistakes of a dump: all of them, not just the first, with line, field and a hint.
 *
 * Errors are what a strict reader refuses. Warnings are what it takes although it can hardly be meant:
 * a file of nothing but zeros because a column slipped, a link count that no set of names has.
 */

import { byteStringFrom, displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { DumpError } from "../errors.ts";
import { objectPath } from "../fsverity/digest.ts";
import type { Leaf } from "../tree/node.ts";
import { parseUint64 } from "./integer.ts";
import { LineParser } from "./line.ts";
import type { DumpLine } from "./line.ts";
import { DumpParser } from "./read.ts";

/** One mistake. */
export interface DumpProblem {
  readonly severity: "error" | "warning";
  /** Line number from 1; 0 where the whole dump is meant. */
  readonly line: number;
  /** As in {@link DumpError}. */
  readonly field: string;
  readonly reason: string;
  readonly hint: string | undefined;
}

/** Returns the mistakes in order of their lines; at most `limit` of them (1000 unless told). */
export function lintDump(
  bytes: Uint8Array,
  options: { readonly limit?: number } = {},
): DumpProblem[] {
  const linter = new Linter(options.limit ?? 1000);
  const text = byteStringFrom(bytes);
  let at = 0;
  let number = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", at)) {
    linter.line(text.slice(at, end), ++number);
    at = end + 1;
  }
  if (at < text.length) {
    linter.line(text.slice(at), ++number);
    linter.error(number, "line", "Missing trailing newline", "end the last line with a line end");
  }
  linter.finish();
  return linter.problems.sort((a, b) => a.line - b.line);
}

class Linter {
  readonly problems: DumpProblem[] = [];
  readonly #limit: number;
  readonly #strict = new LineParser(true);
  readonly #tree = new DumpParser({ strict: true });
  /** Leaves by path, for the link counts at the end. */
  readonly #leaves = new Map<
    ByteString,
    { readonly leaf: Leaf; readonly line: number; names: number }
  >();
  readonly #linkTargets: ByteString[] = [];
  #previous = "" as ByteString;
  #skipped = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  error(line: number, field: string, reason: string, hint?: string): void {
    this.#report("error", line, field, reason, hint);
  }

  line(text: string, number: number): void {
    try {
      const line = this.#strict.parse(text, number);
      this.#tree.add(line, number);
      this.#warn(line, text.split(" "), number);
    } catch (error) {
      if (!(error instanceof DumpError)) throw error;
      this.#skipped = true;
      this.error(number, error.field, error.reason, error.hint ?? hintFor(text));
    }
  }

  finish(): void {
    try {
      this.#tree.finish();
    } catch (error) {
      if (!(error instanceof DumpError)) throw error;
      // What a refused line would have given is missing through no fault of these lines.
      if (!this.#skipped) this.error(error.line, error.field, error.reason, error.hint);
    }
    for (const path of this.#linkTargets) {
      const target = this.#leaves.get(path);
      if (target !== undefined) target.names++;
    }
    for (const { leaf, line, names } of this.#leaves.values()) {
      if (leaf.nlink !== names) {
        this.#warnAt(line, "nlink", `Link count ${leaf.nlink}, but ${names} names in the dump`);
      }
    }
  }

  #warn(line: DumpLine, fields: readonly string[], number: number): void {
    const shown = displayText(line.path);
    if (!line.path.startsWith("/") || /\/\/|.\/$/.test(line.path)) {
      this.#warnAt(number, "path", `Path ${shown} is not canonical`, "one slash before each name");
    }
    if (line.path < this.#previous && !sortsBefore(this.#previous, line.path)) {
      this.#warnAt(
        number,
        "path",
        `Path ${shown} is out of order`,
        "sort by path, for people to compare",
      );
    }
    this.#previous = line.path;
    if (line.kind === "hardlink") {
      this.#linkTargets.push(line.target);
      return;
    }
    for (const [index, field] of [
      [5, "gid"],
      [6, "rdev"],
    ] as const) {
      if (parseUint64(fields[index]!, 10) === undefined) {
        this.error(number, field, `Invalid integer ${fields[index]}`, "C takes it as 0");
      }
    }
    const digest = fields[10];
    if (digest === undefined)
      this.#warnAt(number, "line", "Fields are missing", "write - for none");
    if (line.kind === "leaf") this.#warnLeaf(line.path, line.leaf, number);
  }

  #warnLeaf(path: ByteString, leaf: Leaf, number: number): void {
    this.#leaves.set(path, { leaf, line: number, names: 1 });
    if (leaf.kind !== "file") return;
    const { content } = leaf;
    switch (content.kind) {
      case "sparse":
        this.#warnAt(
          number,
          "payload",
          `File of ${content.size} bytes without content, payload or digest: it will read as zeros`,
          "give the object's path as payload and its fs-verity digest",
        );
        return;
      case "external":
        if (content.digest === undefined) {
          this.#warnAt(number, "digest", "File without fs-verity digest: it cannot be verified");
        } else if (content.path !== objectPath(content.digest)) {
          this.#warnAt(
            number,
            "payload",
            "Payload is not the object path of the digest",
            objectPath(content.digest),
          );
        }
        return;
      case "inline":
        if (content.data.length > 0 && content.data.every((byte) => byte === 0)) {
          this.#warnAt(number, "content", `Content of ${content.data.length} bytes is all zeros`);
        }
    }
  }

  #warnAt(line: number, field: string, reason: string, hint?: string): void {
    this.#report("warning", line, field, reason, hint);
  }

  #report(
    severity: DumpProblem["severity"],
    line: number,
    field: string,
    reason: string,
    hint: string | undefined,
  ): void {
    if (this.problems.length >= this.#limit) return;
    this.problems.push({ severity, line, field, reason, hint });
  }
}

/** Depth-first order puts `/a/b` before `/a-c`, byte order of whole paths does not. */
function sortsBefore(previous: string, next: string): boolean {
  const a = previous.split("/");
  const b = next.split("/");
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return a[i]! < b[i]!;
  }
  return a.length <= b.length;
}

function hintFor(text: string): string | undefined {
  if (text === "") return "remove the empty line";
  const fields = text.split(" ").length;
  return fields < 11 ? `a line has 11 fields before the xattrs; this one has ${fields}` : undefined;
}
