/** The thread that takes layers apart; see `layer-pool.ts`. */

import { parentPort, workerData } from "node:worker_threads";

import type { Compression } from "../../core/splitstream/compression.ts";
import { close, loadZstd } from "../../floor/mod.ts";
import { ObjectStaging } from "../../store/mod.ts";
import type { StagedObject } from "../../store/mod.ts";
import { RingAborted, RingReader } from "./byte-ring.ts";
import { receiveLayer } from "./layer-frames.ts";
import type { LayerFrame } from "./layer-frames.ts";
import { LayerSplitter } from "./layer-splitter.ts";
import type { LayerMessage, LayerTask, LayerWorkerConfig, WorkedLayer } from "./layer-task.ts";
import { DebtCounter } from "./staged-publisher.ts";
import { StagingSink } from "./staging-sink.ts";
import { describeThreadFailure } from "./thread-failure.ts";

/** Bytes that are taken out of the ring at a time: they stay in the processor's cache. */
const BUFFER_SIZE = 1 << 18;

const { objects, limits, debt: debtMemory } = workerData as LayerWorkerConfig;
const debt = new DebtCounter(debtMemory);
const port = parentPort!;
const buffer = new Uint8Array(BUFFER_SIZE);
const loading = loadZstd();

/** Objects that are handed over together while the layer goes on; of a smaller one nothing before its end. */
const HANDED_OVER_AT_ONCE = 256;

port.on("message", (task: LayerTask) => {
  void loading.then(({ compression }) => takeApart(task, compression));
});

function takeApart(task: LayerTask, compression: Compression | undefined): void {
  const ring = new RingReader(task.ring, () => send({ kind: "room" }));
  const staging = new ObjectStaging(objects);
  const sink = new StagingSink(staging);
  const { algorithm } = objects;
  const splitter = new LayerSplitter({ diffId: task.diffId, algorithm, compression, limits, sink });
  const frames = receiveLayer(ring, buffer);
  try {
    send({ kind: "done", layer: work(frames, splitter, sink, staging) });
  } catch (error) {
    splitter.discard();
    staging.discard();
    send({ kind: "failed", failure: describeThreadFailure(error) });
    drain(frames);
  }
}

function work(
  frames: Iterator<LayerFrame>,
  splitter: LayerSplitter,
  { contents }: StagingSink,
  staging: ObjectStaging,
): WorkedLayer {
  // No `for` of the language: that would end the frames with an error, and they are to be drained.
  for (let next = frames.next(); next.done !== true; next = frames.next()) {
    if (staging.stagedObjects >= HANDED_OVER_AT_ONCE)
      send({ kind: "staged", staged: handOver(staging) });
    const piece = next.value;
    switch (piece.kind) {
      case "tar":
        splitter.bytes(piece.bytes);
        break;
      case "object":
        splitter.object(piece.digest, piece.size);
        break;
      case "file":
        try {
          splitter.file(piece.fd, piece.size);
        } finally {
          close(piece.fd);
        }
    }
  }
  // The source ends its pieces only when the blob was right, and this throws unless the archive is.
  const layer = splitter.finish();
  return { ...layer, contents, objects: staging.stats, staged: handOver(staging) };
}

function handOver(staging: ObjectStaging): readonly StagedObject[] {
  const staged = staging.take();
  debt.add(staged.length);
  return staged;
}

/** Closes the files that are still in the ring, until the sender has heard that nobody wants them. */
function drain(frames: Iterator<LayerFrame>): void {
  try {
    for (let next = frames.next(); next.done !== true; next = frames.next()) {
      if (next.value.kind === "file") close(next.value.fd);
    }
  } catch (error) {
    if (!(error instanceof RingAborted)) throw error;
  }
}

function send(message: LayerMessage): void {
  port.postMessage(message);
}
