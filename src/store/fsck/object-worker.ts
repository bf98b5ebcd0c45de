/** A thread that checks objects; see `object-pool.ts`. */

import { parentPort, workerData } from "node:worker_threads";

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { ObjectTaskRunner } from "./object-task.ts";
import type { CheckConfig } from "./object-task.ts";

const port = parentPort!;
const runner = new ObjectTaskRunner(workerData as CheckConfig);

port.on("message", (digests: readonly FsVerityDigest[]) => port.postMessage(runner.check(digests)));
