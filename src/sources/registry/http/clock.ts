/** Time and chance as the client needs them, so that what waits for minutes can be tested in none. */

import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

/** Tells the time, waits, and throws dice. */
export interface Clock {
  /** Milliseconds since 1970, for dates that servers send. */
  now(): number;
  /** Milliseconds that only grow, for how long something took. */
  elapsed(): number;
  /** Waits; throws the signal's reason when it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** From 0 to 1, without 1. */
  random(): number;
}

/** The machine's own. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  async sleep(milliseconds, signal) {
    try {
      await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
  random: () => Math.random(),
};
