/**
 * The threads of a scan: this one, and workers that are started when there is enough to do for them.
 *
 * Tasks wait in a queue that the caller keeps short. This thread takes its share of them between the
 * turns of the event loop.
 */

import { Worker } from "node:worker_threads";

import { TaskRunner } from "./task-runner.ts";
import type { Reply, ReplyTo, Task, ThreadConfig } from "./tasks.ts";

/** Tasks that a worker has at hand, so that it need not wait for this thread after each. */
const TASKS_AHEAD = 3;

/** A worker starts in 30 ms, which this many tasks take in one thread. */
const TASKS_FOR_A_WORKER = 8;

/** Bytes of content that this thread reads before it looks after the workers again: about 2 ms. */
const LOCAL_BUDGET = 1 << 22;

interface Job {
  readonly task: Task;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

interface PoolWorker {
  readonly thread: Worker;
  /** What it was given and has not answered, in order. */
  readonly jobs: Job[];
}

/** Runs tasks in up to `threads` threads. */
export class TaskPool {
  readonly #config: ThreadConfig;
  readonly #threads: number;
  readonly #local: TaskRunner;
  readonly #queue: Job[] = [];
  readonly #workers: PoolWorker[] = [];
  #localIsScheduled = false;
  #submitted = 0;

  constructor(config: ThreadConfig, threads: number) {
    this.#config = config;
    this.#threads = threads;
    this.#local = new TaskRunner(config);
  }

  /** Hands in a task. Rejects only if a thread dies or has a bug. */
  submit<T extends Task>(task: T): Promise<ReplyTo<T>> {
    return new Promise((resolve, reject) => {
      this.#submitted++;
      this.#queue.push({ task, resolve: resolve as (reply: Reply) => void, reject });
      this.#startWorker();
      this.#distribute();
    });
  }

  /** Ends the workers. Every task has had its reply by now. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map(({ thread }) => thread.terminate()));
    this.#workers.length = 0;
  }

  #startWorker(): void {
    const enough = TASKS_FOR_A_WORKER * (this.#workers.length + 1);
    if (this.#workers.length + 1 >= this.#threads || this.#submitted < enough) return;
    const worker: PoolWorker = {
      thread: new Worker(new URL("./worker.cjs", import.meta.url), {
        workerData: this.#config,
        // Options of the process, `--input-type` say, are not about this file.
        execArgv: [],
      }),
      jobs: [],
    };
    worker.thread.on("message", (reply: Reply) => {
      worker.jobs.shift()!.resolve(reply);
      this.#distribute();
    });
    worker.thread.on("error", (error) => {
      this.#workers.splice(this.#workers.indexOf(worker), 1);
      for (const job of worker.jobs) job.reject(error);
      this.#distribute();
    });
    this.#workers.push(worker);
  }

  #distribute(): void {
    for (const worker of this.#workers) {
      while (worker.jobs.length < TASKS_AHEAD && this.#queue.length > 0) {
        const job = this.#queue.shift()!;
        worker.jobs.push(job);
        worker.thread.postMessage(job.task);
      }
    }
    if (this.#localIsScheduled || this.#queue.length === 0) return;
    this.#localIsScheduled = true;
    setImmediate(() => {
      this.#localIsScheduled = false;
      this.#runLocally();
    });
  }

  #runLocally(): void {
    const job = this.#queue.shift();
    if (job === undefined) return;
    try {
      job.resolve(this.#local.run(job.task, LOCAL_BUDGET));
    } catch (error) {
      job.reject(error);
    }
    this.#distribute();
  }
}
