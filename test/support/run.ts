/** Runs commands in tests. */

import { spawnSync } from "node:child_process";

/** What a command left behind. */
export interface Finished {
  /** Exit status; -1 when it was ended by a signal. */
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** How to run a command. */
export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end. Standard input is empty unless given. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Finished {
  const done = spawnSync(command, args, {
    input: options.stdin ?? "",
    maxBuffer: 2 ** 30,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  if (done.error !== undefined) throw done.error;
  return { status: done.status ?? -1, stdout: done.stdout, stderr: done.stderr.toString("utf8") };
}
