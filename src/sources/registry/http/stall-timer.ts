/** A limit on how long nothing comes. */

import type { Clock } from "./clock.ts";
import { STALL_BYTES } from "./limits.ts";

/** Counts only the time that somebody waits for bytes, and starts anew after {@link STALL_BYTES}. */
export class StallTimer {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #expire: () => void;
  #timer: NodeJS.Timeout | undefined;
  #waited = 0;
  #received = 0;
  #since = 0;

  constructor(limit: number, clock: Clock, expire: () => void) {
    this.#limit = limit;
    this.#clock = clock;
    this.#expire = expire;
  }

  start(): void {
    this.#since = this.#clock.elapsed();
    this.#timer = setTimeout(this.#expire, Math.max(1, this.#limit - this.#waited));
  }

  stop(bytes: number): void {
    clearTimeout(this.#timer);
    this.#received += bytes;
    if (this.#received >= STALL_BYTES) {
      this.#received = 0;
      this.#waited = 0;
    } else {
      this.#waited += this.#clock.elapsed() - this.#since;
    }
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
