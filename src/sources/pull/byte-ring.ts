/**
 * A pipe of bytes between two threads: one ring of shared memory, one writer that awaits, one reader
 * that blocks.
 *
 * The writer is a thread with an event loop (network, decompression), the reader a worker that does
 * nothing else, so the reader may sleep in the kernel, while the writer is told by a message when there
 * is room again. What is in flight is bounded by the ring.
 */

/** Counters run on and wrap; their difference is what is in the ring. */
const WRITTEN = 0;
const READ = 1;
const STATE = 2;
const WRITER_WAITS = 3;
const CONTROL_SIZE = 4 * Int32Array.BYTES_PER_ELEMENT;

/** The state is 0 while more may come. */
const ENDED = 1;
const ABORTED = 2;

/** Thrown in the reader when the writer gave up. */
export class RingAborted extends Error {
  override readonly name = "RingAborted";
}

/** Makes the memory of a ring that holds `capacity` bytes, a power of two. */
export function createRingMemory(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_SIZE + capacity);
}

class Ring {
  protected readonly control: Int32Array;
  protected readonly data: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, CONTROL_SIZE / Int32Array.BYTES_PER_ELEMENT);
    this.data = new Uint8Array(memory, CONTROL_SIZE);
  }

  protected get filled(): number {
    return (Atomics.load(this.control, WRITTEN) - Atomics.load(this.control, READ)) >>> 0;
  }

  /** Where the counter `index` stands in the ring. */
  protected position(index: number): number {
    return (Atomics.load(this.control, index) >>> 0) & (this.data.length - 1);
  }
}

/** The writer's end. */
export class RingWriter extends Ring {
  #onRoom: (() => void) | undefined;
  #failure: unknown;

  /** Takes what the reader's thread posts: there is room again. */
  notifyRoom(): void {
    this.#onRoom?.();
    this.#onRoom = undefined;
  }

  /** Says that nobody reads any more: writing throws `reason` from now on. */
  fail(reason: unknown): void {
    this.#failure = reason;
    this.notifyRoom();
  }

  /** Writes all bytes, and waits for room as often as it takes; nothing is kept of them. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = this.#put(bytes, 0); at < bytes.length; at = this.#put(bytes, at)) {
      await this.#room();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Says that nothing follows. */
  end(): void {
    this.#setState(ENDED);
  }

  /** Says that what follows will never come: behind what is in the ring the reader throws {@link RingAborted}. */
  abort(): void {
    this.#setState(ABORTED);
  }

  #put(bytes: Uint8Array, start: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    let at = start;
    while (at < bytes.length) {
      const room = this.data.length - this.filled;
      const position = this.position(WRITTEN);
      const length = Math.min(bytes.length - at, room, this.data.length - position);
      if (length === 0) break;
      this.data.set(bytes.subarray(at, at + length), position);
      at += length;
      Atomics.add(this.control, WRITTEN, length);
      Atomics.notify(this.control, WRITTEN);
    }
    return at;
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRoom = resolve;
      Atomics.store(this.control, WRITER_WAITS, 1);
      // The reader may have read on before it could see the flag.
      const isFull = this.filled === this.data.length;
      if (!isFull && Atomics.exchange(this.control, WRITER_WAITS, 0) === 1) this.notifyRoom();
    });
  }

  #setState(state: number): void {
    Atomics.store(this.control, STATE, state);
    Atomics.notify(this.control, WRITTEN);
  }
}

/** Milliseconds that the reader sleeps at most. */
const WAKE_AFTER = 20;

/** The reader's end. `postRoom` tells the writer's thread to call `notifyRoom`. */
export class RingReader extends Ring {
  readonly #postRoom: () => void;

  constructor(memory: SharedArrayBuffer, postRoom: () => void) {
    super(memory);
    this.#postRoom = postRoom;
  }

  /** Reads at least one byte and at most `into.length`; returns how many, 0 at the end. Blocks. */
  read(into: Uint8Array): number {
    let filled = this.filled;
    for (; filled === 0; filled = this.filled) {
      const seen = Atomics.load(this.control, WRITTEN);
      const state = Atomics.load(this.control, STATE);
      if (this.filled > 0) continue;
      if (state === ABORTED) throw new RingAborted();
      if (state === ENDED) return 0;
      // An end that comes after the look at the state wakes nobody, so the sleep is not forever.
      Atomics.wait(this.control, WRITTEN, seen, WAKE_AFTER);
    }
    const position = this.position(READ);
    const length = Math.min(filled, into.length, this.data.length - position);
    into.set(this.data.subarray(position, position + length));
    Atomics.add(this.control, READ, length);
    const isHalfEmpty = this.filled <= this.data.length / 2;
    if (isHalfEmpty && Atomics.exchange(this.control, WRITER_WAITS, 0) === 1) this.#postRoom();
    return length;
  }
}
