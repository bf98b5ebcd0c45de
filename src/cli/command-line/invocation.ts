/**
 * What a command was asked: options by name and operands, whichever parser read them.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";

/** Options and operands of one call. Values are the bytes that were typed. */
export class Invocation {
  readonly operands: readonly ByteString[];
  readonly #options: ReadonlyMap<string, readonly ByteString[]>;

  /** `options` holds the values of each option that was given, in order; a flag has empty ones. */
  constructor(
    options: ReadonlyMap<string, readonly ByteString[]>,
    operands: readonly ByteString[],
  ) {
    this.#options = options;
    this.operands = operands;
  }

  /** Whether an option was given. */
  has(name: string): boolean {
    return this.#options.has(name);
  }

  /** The value of an option; the last one where it was repeated. */
  value(name: string): ByteString | undefined {
    return this.#options.get(name)?.at(-1);
  }

  /** All values of an option that can be repeated. */
  values(name: string): readonly ByteString[] {
    return this.#options.get(name) ?? [];
  }

  /** The value of an option as a whole number from `min` to `max`. Throws `usage`. */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.value(name);
    if (text === undefined) return undefined;
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new ComposefsError(
      "usage",
      `Cannot use "${displayText(text)}" for --${name}: not a whole number from ${min} to ${max}`,
    );
  }
}
