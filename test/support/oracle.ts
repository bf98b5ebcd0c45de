/**
 * The C project's own tools, to compare with: `mkcomposefs` and `composefs-info` of Debian's package
 * `composefs`, in a root directory of their own with the libraries they were built for.
 *
 * `npm run setup:oracle` makes that directory; COMPOSEFS_ORACLE names another one.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { testCache } from "../../scripts/cache.mjs";
import { run } from "./run.ts";
import type { Finished, RunOptions } from "./run.ts";

/** Debian's names of the two architectures and the file names of their dynamic loaders. */
const LOADERS: Readonly<Record<string, { readonly triplet: string; readonly loader: string }>> = {
  x64: { triplet: "x86_64-linux-gnu", loader: "ld-linux-x86-64.so.2" },
  arm64: { triplet: "aarch64-linux-gnu", loader: "ld-linux-aarch64.so.1" },
};

/** The root directory with the C tools, or `undefined`. */
export function findOracle(): string | undefined {
  const root = process.env["COMPOSEFS_ORACLE"] ?? join(testCache(), "oracle", "root");
  return existsSync(join(root, "usr/bin/mkcomposefs")) ? root : undefined;
}

/** The C tools. Throws where they are not set up: tests ask `needs("oracle")` first. */
export const oracle = {
  mkcomposefs: (args: readonly string[], options?: RunOptions): Finished =>
    runTool("mkcomposefs", args, options),
  composefsInfo: (args: readonly string[], options?: RunOptions): Finished =>
    runTool("composefs-info", args, options),
  /** The image bytes that `mkcomposefs --from-file -` writes; throws its standard error when it fails. */
  imageOfDump: (dump: string | Uint8Array, args: readonly string[] = []): Buffer => {
    const done = runTool("mkcomposefs", [...args, "--from-file", "-", "-"], { stdin: dump });
    if (done.status !== 0) {
      throw new Error(`mkcomposefs exited with ${done.status}: ${done.stderr}`);
    }
    return done.stdout;
  },
} as const;

function runTool(name: string, args: readonly string[], options: RunOptions = {}): Finished {
  const root = findOracle();
  if (root === undefined) throw new Error("the C tools are not set up");
  const [loader, ...words] = oracleCommand(root, name);
  return run(loader!, [...words, ...args], options);
}

/** How to call a tool of that root: by the root's own loader, with its own libraries. */
export function oracleCommand(root: string, name: string): readonly string[] {
  const machine = LOADERS[process.arch];
  if (machine === undefined) throw new Error(`no C tools for ${process.arch}`);
  const libraries = join(root, "usr/lib", machine.triplet);
  const loader = join(libraries, machine.loader);
  return [loader, "--library-path", libraries, join(root, "usr/bin", name)];
}
