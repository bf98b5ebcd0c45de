/** Runs once, before all test files: makes the saved states of this checkout as it is now. */

import type { TestProject } from "vitest/node";
import type { SavedState } from "./saved-state.ts";
import { isSetUp } from "./setup.ts";
import { prepareStates } from "./states.ts";
import type { StateName } from "./states.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** `undefined` where the set-up has not run. */
    savedStates: Record<StateName, SavedState> | undefined;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  project.provide("savedStates", isSetUp() ? await prepareStates() : undefined);
}
