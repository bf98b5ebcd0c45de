/** Expecting an error of ours: by its code, and what it says. */

import { expect } from "vitest";
import { ComposefsError } from "#src/core/mod.ts";
import type { ErrorCode } from "#src/core/mod.ts";

/** Expects `act` to throw a `ComposefsError` of this code, whose message matches. */
export function expectError(act: () => unknown, code: ErrorCode, message: RegExp = /^/): void {
  let thrown: unknown;
  try {
    act();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(ComposefsError);
  expect(thrown).toMatchObject({ code, message: expect.stringMatching(message) as string });
}
