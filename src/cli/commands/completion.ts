/** `composefs completion`. */

import { COMPLETION_SHELLS } from "../completion/mod.ts";
import type { CompletionShell } from "../completion/mod.ts";
import { ComposefsError } from "../../core/errors.ts";
import { displayText } from "../../core/bytes/byte-string.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { PROGRAMS } from "../table/mod.ts";

/** Prints the completion script of a shell. */
export function run(invocation: Invocation, io: Io): number {
  const shell = invocation.operands[0]!;
  if (!Object.hasOwn(COMPLETION_SHELLS, shell)) {
    throw new ComposefsError(
      "usage",
      `Cannot make completions for "${displayText(shell)}": shell is not known`,
      { hint: `known are ${Object.keys(COMPLETION_SHELLS).join(", ")}` },
    );
  }
  io.out.text(COMPLETION_SHELLS[shell as string as CompletionShell](PROGRAMS));
  return 0;
}
