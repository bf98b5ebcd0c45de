/** A worker thread of a scan: does tasks in the order in which they come. */

import { parentPort, workerData } from "node:worker_threads";

import { TaskRunner } from "./task-runner.ts";
import type { Task, ThreadConfig } from "./tasks.ts";

/** So much content at a time that the other threads have something to do at the end, too. */
const BUDGET = 1 << 25;

const port = parentPort!;
const runner = new TaskRunner(workerData as ThreadConfig);

port.on("message", (task: Task) => {
  const reply = runner.run(task, BUDGET);
  const transfer = reply.kind === "entries" ? [reply.records.buffer as ArrayBuffer] : [];
  port.postMessage(reply, transfer);
});
