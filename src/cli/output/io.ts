/**
 * What a command has of the world: where it writes, its environment, a way to be interrupted.
 */

import { openOutput } from "./output.ts";
import type { Output } from "./output.ts";

/** The surroundings of one command. */
export interface Io {
  readonly out: Output;
  readonly err: Output;
  readonly env: NodeJS.ProcessEnv;
}

/** The surroundings of this process. */
export function processIo(): Io {
  const { env } = process;
  return { out: openOutput(1, env), err: openOutput(2, env), env };
}
