/**
 * When to ask again, and how long to wait before: doubling waits with chance in them, or what the
 * server says in `Retry-After`.
 *
 * Source: RFC 9110, 10.2.3 (Retry-After) and 5.6.7 (dates).
 */

import type { Clock } from "./clock.ts";
import type { Limits } from "./limits.ts";
import { NetworkError } from "./network-error.ts";

/** Statuses that may be another one soon. */
const PASSING = new Set([408, 429, 500, 502, 503, 504]);

/** Tells whether the same request may be answered better soon. */
export function isPassing(status: number): boolean {
  return PASSING.has(status);
}

/** Tells whether the same request may get through soon. */
export function isRetryable(error: unknown): error is NetworkError {
  if (!(error instanceof NetworkError)) return false;
  return error.failure !== "untrusted" && error.failure !== "unknown";
}

/** Counts the tries of one thing. */
export class Retries {
  readonly #limits: Limits;
  readonly #clock: Clock;
  #failed = 0;

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** How often it failed so far. */
  get failed(): number {
    return this.#failed;
  }

  /** Something was gained: failures before this do not count. */
  forgive(): void {
    this.#failed = 0;
  }

  /**
   * Notes a failure and waits until it may be tried again. Returns false, at once, when there is no
   * try left, or when the server asks for a longer wait than is allowed.
   */
  async next(retryAfter?: string, signal?: AbortSignal): Promise<boolean> {
    this.#failed++;
    if (this.#failed >= this.#limits.attempts) return false;
    const asked = parseRetryAfter(retryAfter, this.#clock.now());
    if (asked !== undefined && asked > this.#limits.maxWait) return false;
    const growing = this.#limits.backoff * 2 ** (this.#failed - 1);
    // Half of it is chance: many clients that failed together must not come back together.
    const wait = growing / 2 + (growing / 2) * this.#clock.random();
    await this.#clock.sleep(Math.min(Math.max(wait, asked ?? 0), this.#limits.maxWait), signal);
    return true;
  }
}

/** Returns milliseconds from now on: seconds or an HTTP date; `undefined` for anything else. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Only dates as HTTP has them: `Date.parse` takes "-1" and more for a date.
  if (!/^[A-Z][a-z]{2,8}, /.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
