/**
 * Objects from the threads that take layers apart: made durable and named here while those go on, which
 * would wait for the disk otherwise.
 *
 * How many are open on the way is bounded: a thread that would hand over too many waits.
 */

import type { ObjectStaging, StagedObject } from "../../store/mod.ts";

/** Objects on the way before they are published: each sync has its price. */
const PUBLISH_FROM = 512;

/** What is less than both at the end is left to whoever commits. */
const FINISH_FROM = 256;
const FINISH_FROM_BYTES = 1 << 24;

/** Objects on the way at most, and what each thread has in hand. */
const DEBT_MAX = 2048;

/** Milliseconds that a thread sleeps at most before it looks again. */
const WAKE_AFTER = 20;

/** How many objects were handed over and have no name yet: one number that all threads see. */
export class DebtCounter {
  readonly memory: SharedArrayBuffer;
  readonly #count: Int32Array;

  constructor(memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#count = new Int32Array(memory);
  }

  /** Adds objects; waits first where there are too many. Blocks. */
  add(objects: number): void {
    for (;;) {
      const count = Atomics.load(this.#count, 0);
      if (count < DEBT_MAX) break;
      Atomics.wait(this.#count, 0, count, WAKE_AFTER);
    }
    Atomics.add(this.#count, 0, objects);
  }

  /** Takes objects out. */
  remove(objects: number): void {
    Atomics.sub(this.#count, 0, objects);
    Atomics.notify(this.#count, 0);
  }
}

/** Publishes by way of one staging, whose sync handle is open. */
export class StagedPublisher {
  readonly debt = new DebtCounter();
  readonly #objects: ObjectStaging;
  readonly #onFailure: (error: unknown) => void;
  /** Objects that came since the last time. */
  #waiting = 0;
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** `onFailure` is told at once; `finish` throws the same. */
  constructor(objects: ObjectStaging, onFailure: (error: unknown) => void) {
    this.#objects = objects;
    this.#onFailure = onFailure;
  }

  /** Whether objects are lost, of whatever layer. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Takes over what a thread has staged, and added to the debt. */
  take(staged: readonly StagedObject[]): void {
    this.#waiting += staged.length;
    for (const { size } of staged) this.#waitingBytes += size;
    try {
      this.#objects.adopt(staged);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#waiting >= PUBLISH_FROM) this.#run();
  }

  /** Waits until nothing is on its way; throws what went wrong with any of it. */
  async settle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Publishes what is there if it is much; ends as {@link settle} does. */
  async finish(): Promise<void> {
    await this.settle();
    const isMuch = this.#waiting > FINISH_FROM || this.#waitingBytes > FINISH_FROM_BYTES;
    if (isMuch) this.#run();
    await this.settle();
  }

  #run(): void {
    this.#running ??= this.#publish().finally(() => {
      this.#running = undefined;
      if (this.#waiting >= PUBLISH_FROM) this.#run();
    });
  }

  async #publish(): Promise<void> {
    const count = this.#waiting;
    this.#waiting = 0;
    this.#waitingBytes = 0;
    try {
      await this.#objects.publishInBackground();
    } catch (error) {
      this.#fail(error);
    }
    this.debt.remove(count);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#onFailure(error);
  }
}
