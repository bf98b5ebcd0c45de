/** How fast something goes lately. Pure: it is told the time, in milliseconds of any steady clock. */

/** The rate is measured over about this many milliseconds, so that it follows and does not jump. */
const WINDOW = 5000;

/** Measures one count that grows. */
export class RateMeter {
  #samples: { readonly at: number; readonly done: number }[] = [];
  #done = 0;

  /** Takes the count at `now`. */
  update(done: number, now: number): void {
    this.#done = done;
    const last = this.#samples.at(-1);
    // A hundred samples span the window; more would only cost memory.
    if (last !== undefined && now - last.at < WINDOW / 100) return;
    this.#samples.push({ at: now, done });
    while (this.#samples.length > 2 && now - this.#samples[1]!.at >= WINDOW) this.#samples.shift();
  }

  /** Units a second at `now`; 0 when nothing is known. */
  rate(now: number): number {
    const first = this.#samples[0];
    if (first === undefined || now <= first.at) return 0;
    return (this.#done - first.done) / ((now - first.at) / 1000);
  }
}

/** Seconds until `total` is done at this rate; `undefined` when that cannot be told. */
export function secondsLeft(
  done: number,
  total: number | undefined,
  rate: number,
): number | undefined {
  return total === undefined || rate <= 0 ? undefined : Math.max(0, (total - done) / rate);
}
