/** Undoing: what was opened or attached, released in reverse order whatever happens. */

/** A stack of things to undo. */
export class Cleanup {
  readonly #undo: (() => void)[] = [];

  /** Remembers how to undo what has just been done. */
  defer(undo: () => void): void {
    this.#undo.push(undo);
  }

  /**
   * Undoes everything, the last thing first, and goes on past failures; then throws the first of them.
   */
  run(): void {
    const failures: unknown[] = [];
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Calls `body`, then undoes. A failure of `body` is never hidden by one of undoing. */
  static scope<T>(body: (cleanup: Cleanup) => T): T {
    const cleanup = new Cleanup();
    let result: T;
    try {
      result = body(cleanup);
    } catch (error) {
      try {
        cleanup.run();
      } catch {
        // The reason why it failed matters more than what could not be tidied after it.
      }
      throw error;
    }
    cleanup.run();
    return result;
  }
}
