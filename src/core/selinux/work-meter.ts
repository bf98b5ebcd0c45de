/**
 * A bound for the work that a policy may cost, so that a hostile one ends.
 */

import { ComposefsError } from "../errors.ts";

/** Steps, each some ten nanoseconds: the policy of a distribution takes a hundredth for its whole tree. */
const DEFAULT_LIMIT = 1_000_000_000;

/** Counts steps. */
export class WorkMeter {
  #left: number;

  constructor(limit: number = DEFAULT_LIMIT) {
    this.#left = limit;
  }

  /** Counts `steps`. Throws `invalid-policy` when there were too many. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) {
      throw new ComposefsError(
        "invalid-policy",
        "Cannot label files: matching the patterns of the SELinux policy takes too long",
      );
    }
  }
}
