/**
 * The tools that are compared: ours, and each peer that this machine has.
 *
 * C: Debian's package in a root of its own (`npm run setup:oracle`, or COMPOSEFS_ORACLE). composefs-rs:
 * `cfsctl` in PATH, or COMPOSEFS_CFSCTL.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { findOracle, oracleCommand } from "../test/support/oracle.ts";

/** How to call each tool: the words that come before its arguments. */
export interface Tools {
  readonly ours: (name: string) => readonly string[];
  readonly c: ((name: string) => readonly string[]) | undefined;
  readonly cfsctl: readonly string[] | undefined;
}

/** Finds the tools; `checkout` is where ours lie. */
export function findTools(checkout: string): Tools {
  const root = findOracle();
  const cfsctl = findCfsctl();
  return {
    ours: (name) => [join(checkout, "bin", name)],
    c: root === undefined ? undefined : (name) => oracleCommand(root, name),
    cfsctl: cfsctl === undefined ? undefined : [cfsctl],
  };
}

/** The versions, for the record; the C tools have no option that tells theirs. */
export function describeTools(tools: Tools): Record<string, string> {
  return {
    ours: firstLine([...tools.ours("composefs"), "--version"]),
    C:
      tools.c === undefined ? "not found: run `npm run setup:oracle`" : "mkcomposefs, Debian forky",
    cfsctl:
      tools.cfsctl === undefined
        ? "not found: put it into PATH or set COMPOSEFS_CFSCTL"
        : firstLine([...tools.cfsctl, "--version"]),
    node: process.version,
  };
}

function findCfsctl(): string | undefined {
  const named = process.env["COMPOSEFS_CFSCTL"];
  if (named !== undefined) return named;
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, "cfsctl"))
    .find((path) => existsSync(path));
}

function firstLine(argv: readonly string[]): string {
  const done = spawnSync(argv[0]!, argv.slice(1), { encoding: "utf8" });
  return done.status === 0 ? done.stdout.split("\n")[0]! : `${argv[0]} does not run`;
}
