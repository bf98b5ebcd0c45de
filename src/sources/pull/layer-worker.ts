/** The thread that takes layers apart; see `layer-pool.ts`. */

import { parentPort, workerData } from "node:worker_threads";

import type { Compression } from "../../core/splitstream/compression.ts";
import { close, loadZstd } from "../../floor/mod.ts";
import { ObjectStaging } from "../../store/mod.ts";
import { RingAborted, RingReader } from "./byte-ring.ts";
import { receiveLayer } from "./layer-frames.ts";
import type { LayerFrame } from "./layer-frames.ts";
import { LayerSplitter } from "./layer-splitter.ts";
import type { LayerMessage, LayerTask, LayerWorkerConfig, WorkedLayer } from "./layer-task.ts";
import { StagingSink } from "./staging-sink.ts";
import { describeThreadFailure } from "./thread-failure.ts";

/** Bytes that are taken out of the ring at a time: they stay in the processor's cache. */
const BUFFER_SIZE = 1 << 18;

const { objects, limits } = workerData as LayerWorkerConfig;
const port = parentPort!;
const buffer = new Uint8Array(BUFFER_SIZE);
const loading = loadZstd();

/** What is less than this is left to the thread that commits: each sync has its price. */
const PUBLISH_OBJECTS = 256;
const PUBLISH_BYTES = 1 << 24;

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
  const { stats, stagedObjects } = staging;
  const isMuch = stagedObjects > PUBLISH_OBJECTS || stats.copied.bytes > PUBLISH_BYTES;
  if (isMuch) staging.publish();
  return { ...layer, contents, objects: stats, staged: staging.take() };
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
