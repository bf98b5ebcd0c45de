/** Work of other threads that has no answer yet. */

/** Counts it, waits for it, and keeps the first failure. */
export class PendingAnswers {
  #count = 0;
  #onAnswer: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** How many have not come. */
  get count(): number {
    return this.#count;
  }

  /** Whether any has failed. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Takes over an answer; what it fails with is kept for `assertNoFailure`. */
  add(answer: Promise<void>): void {
    this.#count++;
    void answer
      .catch((error: unknown) => (this.#failure ??= { error }))
      .finally(() => {
        this.#count--;
        this.#onAnswer?.();
      });
  }

  /** Waits for the next one, well or failed. There must be one, and nobody else may wait. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
    });
  }

  /** Waits for all of them, well or failed. */
  async all(): Promise<void> {
    while (this.#count > 0) await this.next();
  }

  /** Throws the first failure. */
  assertNoFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
