/** Errors about a repository as a whole. */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import type { ErrorCode } from "../core/errors.ts";

/** `Cannot <action> repository "<path>": <reason>`. */
export function repositoryError(
  code: ErrorCode,
  action: string,
  path: ByteString,
  reason: string,
  options: { readonly hint?: string | undefined; readonly cause?: unknown } = {},
): ComposefsError {
  const message = `Cannot ${action} repository "${displayText(path)}": ${reason}`;
  return new ComposefsError(code, message, {
    ...(options.hint === undefined ? {} : { hint: options.hint }),
    ...(options.cause === undefined ? {} : { cause: options.cause }),
  });
}
