import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import {
  RingAborted,
  RingReader,
  RingWriter,
  createRingMemory,
} from "#src/sources/pull/byte-ring.ts";

const MODULE = new URL("../../../dist/sources/pull/byte-ring.js", import.meta.url).href;

/** A thread that reads a ring to its end, and then tells what it read. */
function readInThread(memory: SharedArrayBuffer, onRoom: () => void): Promise<unknown> {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { createHash } = require("node:crypto");
    import(${JSON.stringify(MODULE)}).then(({ RingReader }) => {
      const ring = new RingReader(workerData, () => parentPort.postMessage("room"));
      const into = new Uint8Array(777);
      const hash = createHash("sha256");
      try {
        for (let n = ring.read(into); n > 0; n = ring.read(into)) hash.update(into.subarray(0, n));
        parentPort.postMessage({ sha256: hash.digest("hex") });
      } catch (error) {
        parentPort.postMessage({ error: error.name });
      }
    });`;
  const thread = new Worker(code, { eval: true, workerData: memory });
  return new Promise((resolve, reject) => {
    thread.on("error", reject);
    thread.on("message", (message) => (message === "room" ? onRoom() : resolve(message)));
  });
}

test("what goes in comes out, through a ring that is smaller", async () => {
  const memory = createRingMemory(4096);
  const writer = new RingWriter(memory);
  const read = readInThread(memory, () => writer.notifyRoom());
  const hash = createHash("sha256");
  for (let size = 0; size < 9000; size += 37) {
    const bytes = Buffer.alloc(size, size & 0xff);
    hash.update(bytes);
    await writer.write(bytes);
  }
  writer.end();
  expect(await read).toEqual({ sha256: hash.digest("hex") });
});

test("an abort reaches a reader that sleeps", async () => {
  const memory = createRingMemory(4096);
  const writer = new RingWriter(memory);
  const read = readInThread(memory, () => writer.notifyRoom());
  await writer.write(Buffer.from("start"));
  writer.abort();
  expect(await read).toEqual({ error: "RingAborted" });
});

test("a failure of the reader reaches a writer that waits", async () => {
  const writer = new RingWriter(createRingMemory(4096));
  const writing = writer.write(Buffer.alloc(5000));
  writer.fail(new Error("no more"));
  await expect(writing).rejects.toThrow("no more");
  await expect(writer.write(Buffer.alloc(1))).rejects.toThrow("no more");
});

test("counters wrap", async () => {
  const memory = createRingMemory(4096);
  new Int32Array(memory, 0, 2).fill(-100);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory, () => {});
  const bytes = Buffer.from({ length: 300 } as ArrayLike<number>).map((_, i) => i);
  await writer.write(bytes);
  writer.end();
  const into = new Uint8Array(1000);
  const parts: Buffer[] = [];
  for (let n = reader.read(into); n > 0; n = reader.read(into)) {
    parts.push(Buffer.from(into.subarray(0, n)));
  }
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  writer.abort();
  expect(() => reader.read(into)).toThrow(RingAborted);
});
