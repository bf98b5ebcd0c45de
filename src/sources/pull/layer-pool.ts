/**
 * The threads that take layers apart: each works on one layer at a time, and sleeps while nothing comes.
 *
 * This thread does what has an event loop (the source, its digests, decompression), a worker the rest,
 * so that two processors are busy with a single layer.
 */

import { Worker } from "node:worker_threads";

import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { StagedObject } from "../../store/mod.ts";
import { RingWriter, createRingMemory } from "./byte-ring.ts";
import { LayerSender } from "./layer-frames.ts";
import type { LayerFrame } from "./layer-frames.ts";
import type { LayerMessage, LayerTask, LayerWorkerConfig, WorkedLayer } from "./layer-task.ts";
import { reviveThreadFailure } from "./thread-failure.ts";

/** Bytes of a layer between two threads: some 10 ms of work. */
const RING_SIZE = 1 << 22;

interface PoolWorker {
  readonly thread: Worker;
  onMessage: (message: LayerMessage) => void;
  onDeath: (error: unknown) => void;
}

/** Takes layers apart in up to `threads` threads. */
export class LayerPool {
  readonly #config: LayerWorkerConfig;
  readonly #threads: number;
  readonly #onStaged: (staged: readonly StagedObject[]) => void;
  readonly #idle: PoolWorker[] = [];
  readonly #workers = new Set<PoolWorker>();
  readonly #waiting: ((worker: PoolWorker) => void)[] = [];

  /** `onStaged` takes over the objects of all layers, also of those that turn out to be none. */
  constructor(
    config: LayerWorkerConfig,
    threads: number,
    onStaged: (staged: readonly StagedObject[]) => void,
  ) {
    this.#config = config;
    this.#onStaged = onStaged;
    this.#threads = threads;
  }

  /**
   * Takes a layer apart. Nothing is asked of `pieces` before a thread is free. Throws what `pieces`
   * throws, what is wrong with the archive, and `content-mismatch` where it is another one; nothing is
   * staged then.
   */
  async run(diffId: OciDigest, pieces: () => AsyncIterable<LayerFrame>): Promise<WorkedLayer> {
    const worker = await this.#acquire();
    const memory = createRingMemory(RING_SIZE);
    const ring = new RingWriter(memory);
    const answer = new Promise<WorkedLayer>((resolve, reject) => {
      worker.onDeath = (error) => {
        ring.fail(error);
        reject(error);
      };
      worker.onMessage = (message) => {
        switch (message.kind) {
          case "room":
            ring.notifyRoom();
            return;
          case "staged":
            this.#onStaged(message.staged);
            return;
          case "done":
            this.#onStaged(message.layer.staged);
            resolve(message.layer);
            return;
          case "failed": {
            const error = reviveThreadFailure(message.failure);
            ring.fail(error);
            reject(error);
          }
        }
      };
    });
    // Also when sending fails first the worker answers, and nobody waits for that.
    answer.catch(() => {});
    const task: LayerTask = { diffId, ring: memory };
    worker.thread.postMessage(task);
    try {
      const sender = new LayerSender(ring);
      for await (const piece of pieces()) await sender.send(piece);
      ring.end();
    } catch (error) {
      ring.abort();
      await answer.catch(() => {});
      this.#release(worker);
      throw error;
    }
    try {
      return await answer;
    } finally {
      this.#release(worker);
    }
  }

  /** Ends the threads; none has a layer any more. */
  async close(): Promise<void> {
    await Promise.all([...this.#workers].map(({ thread }) => thread.terminate()));
    this.#workers.clear();
    this.#idle.length = 0;
  }

  #acquire(): Promise<PoolWorker> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#workers.size < this.#threads) return Promise.resolve(this.#start());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(worker: PoolWorker): void {
    // One that died is replaced.
    const free = this.#workers.has(worker) ? worker : undefined;
    const next = this.#waiting.shift();
    if (next !== undefined) next(free ?? this.#start());
    else if (free !== undefined) this.#idle.push(free);
  }

  #start(): PoolWorker {
    const thread = new Worker(new URL("./layer-worker.cjs", import.meta.url), {
      workerData: this.#config,
      // Options of the process, `--input-type` say, are not about this file.
      execArgv: [],
    });
    const worker: PoolWorker = { thread, onMessage: () => {}, onDeath: () => {} };
    thread.on("message", (message: LayerMessage) => worker.onMessage(message));
    thread.on("error", (error) => {
      this.#workers.delete(worker);
      worker.onDeath(error);
    });
    this.#workers.add(worker);
    return worker;
  }
}
