/**
 * Long synchronous work in turns: the event loop comes in between, so that an interrupt is heard and
 * progress is shown.
 */

/** Time that work may take before others have a turn. */
const TURN_MILLISECONDS = 20;

/** Lets others have a turn now and then. */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  #end = performance.now() + TURN_MILLISECONDS;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** To be awaited between pieces of work. Rejects with the reason of an abort. */
  async next(): Promise<void> {
    this.#signal?.throwIfAborted();
    if (performance.now() < this.#end) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#end = performance.now() + TURN_MILLISECONDS;
    this.#signal?.throwIfAborted();
  }
}
