/** The threads that hash objects: this one, and others when there is enough to do. */

import { Worker } from "node:worker_threads";

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { ObjectTaskRunner } from "./object-task.ts";
import type { CheckConfig, DamagedObject } from "./object-task.ts";

/** Objects that a thread gets at a time. */
export const OBJECTS_AT_ONCE = 64;

/** A thread starts in 30 ms: it is not worth that for fewer batches. */
const BATCHES_FOR_A_THREAD = 8;

interface PoolThread {
  readonly worker: Worker;
  settle: ((result: DamagedObject[]) => void) | undefined;
  fail: ((error: unknown) => void) | undefined;
}

/** Checks batches of objects, several at a time. */
export class ObjectPool {
  readonly #config: CheckConfig;
  readonly #threads: number;
  readonly #local: ObjectTaskRunner;
  readonly #all: PoolThread[] = [];
  readonly #idle: PoolThread[] = [];
  readonly #running = new Set<Promise<void>>();
  #batches = 0;

  constructor(config: CheckConfig, threads: number) {
    this.#config = config;
    this.#threads = threads;
    this.#local = new ObjectTaskRunner(config);
  }

  /** Hands in a batch; `onDone` gets what is damaged. Resolves when there is room for the next one. */
  async submit(
    digests: readonly FsVerityDigest[],
    onDone: (damaged: DamagedObject[]) => void,
  ): Promise<void> {
    this.#batches++;
    this.#start();
    if (this.#all.length === 0) {
      onDone(this.#local.check(digests));
      return;
    }
    while (this.#idle.length === 0) await Promise.race(this.#running);
    const running: Promise<void> = this.#run(digests, onDone).finally(() => {
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  async #run(
    digests: readonly FsVerityDigest[],
    onDone: (damaged: DamagedObject[]) => void,
  ): Promise<void> {
    const thread = this.#idle.pop()!;
    const damaged = await new Promise<DamagedObject[]>((resolve, reject) => {
      thread.settle = resolve;
      thread.fail = reject;
      thread.worker.postMessage(digests);
    });
    this.#idle.push(thread);
    onDone(damaged);
  }

  /** Waits until all batches are done. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.allSettled([
      ...this.#running,
      ...this.#all.map(({ worker }) => worker.terminate()),
    ]);
  }

  #start(): void {
    const isWorthIt = this.#batches >= BATCHES_FOR_A_THREAD * (this.#all.length + 1);
    if (this.#all.length >= this.#threads || !isWorthIt) return;
    const worker = new Worker(new URL("./object-worker.cjs", import.meta.url), {
      workerData: this.#config,
      // Options of the process, `--input-type` say, are not about this file.
      execArgv: [],
    });
    const thread: PoolThread = { worker, settle: undefined, fail: undefined };
    worker.on("message", (damaged: DamagedObject[]) => thread.settle?.(damaged));
    worker.on("error", (error) => thread.fail?.(error));
    this.#all.push(thread);
    this.#idle.push(thread);
  }
}
