/**
 * Cuts a file into pieces at places that its content decides: an insertion moves the cuts behind it along,
 * and two versions of a file have most pieces in common. Long runs of zeros are pieces of their own.
 *
 * The cuts are those of containers/storage (pkg/chunked/compressor): bup's rolling checksum over 64 bytes,
 * a cut where its lower 16 bits are all set, which is once in 64 KiB. Blobs of both then share pieces.
 */

const WINDOW_SIZE = 64;
const CHAR_OFFSET = 31;
const SPLIT_MASK = 0xffff;
/** Zeros in a row that make a hole. */
const HOLE_MIN = 1024;
/** A file that is cut nowhere is cut here: what is compressed at a time is held in memory. */
const PIECE_MAX = 8 << 20;

/** Bytes of the file that belong together; `ends` says that a piece ends behind them. */
export type SplitEvent =
  | { readonly kind: "data"; readonly bytes: Uint8Array; readonly ends: boolean }
  | { readonly kind: "zeros"; readonly size: number };

/** Cuts one file. The bytes of an event are valid until the next one is asked for. */
export class RollingSplitter {
  readonly #window = new Uint8Array(WINDOW_SIZE);
  #windowAt = 0;
  #s1 = WINDOW_SIZE * CHAR_OFFSET;
  #s2 = WINDOW_SIZE * (WINDOW_SIZE - 1) * CHAR_OFFSET;
  /** Bytes of the piece so far. */
  #pieceSize = 0;
  /** Zeros at the end that may become a hole. */
  #zeros = 0;

  /** Takes the next bytes of the file. */
  *push(bytes: Uint8Array): Generator<SplitEvent, void> {
    let start = 0;
    if (this.#zeros > 0) {
      start = zerosEnd(bytes, 0);
      this.#zeros += start;
      if (start === bytes.length) return;
      yield* this.#endZeros();
    }
    let end = bytes.length;
    while (end > start && bytes[end - 1] === 0) end--;
    for (let zero = bytes.indexOf(0, start); zero >= 0 && zero < end;) {
      const after = zerosEnd(bytes, zero);
      if (after - zero >= HOLE_MIN) {
        yield* this.#data(bytes.subarray(start, zero));
        yield* this.#hole(after - zero);
        start = after;
      }
      zero = bytes.indexOf(0, after);
    }
    yield* this.#data(bytes.subarray(start, end));
    // Whether these are a hole is up to what follows.
    this.#zeros = bytes.length - end;
  }

  /** Ends the file. */
  *finish(): Generator<SplitEvent, void> {
    yield* this.#endZeros();
  }

  *#endZeros(): Generator<SplitEvent, void> {
    const size = this.#zeros;
    this.#zeros = 0;
    if (size >= HOLE_MIN) yield* this.#hole(size);
    else yield* this.#data(new Uint8Array(size));
  }

  *#hole(size: number): Generator<SplitEvent, void> {
    if (this.#pieceSize > 0) {
      this.#pieceSize = 0;
      yield { kind: "data", bytes: new Uint8Array(0), ends: true };
    }
    // After a window of zeros the sums no longer change.
    const zeros = new Uint8Array(WINDOW_SIZE);
    for (let at = 0; at < WINDOW_SIZE;) at = this.#roll(zeros, at);
    this.#pieceSize = 0;
    yield { kind: "zeros", size };
  }

  *#data(bytes: Uint8Array): Generator<SplitEvent, void> {
    for (let start = 0; start < bytes.length;) {
      const end = this.#roll(bytes, start);
      const ends = this.#pieceSize === 0;
      yield { kind: "data", bytes: bytes.subarray(start, end), ends };
      start = end;
    }
  }

  /** Rolls over bytes up to the end of a piece, after which the size of the piece is 0; returns where. */
  #roll(bytes: Uint8Array, start: number): number {
    const window = this.#window;
    const limit = Math.min(bytes.length, start + PIECE_MAX - this.#pieceSize);
    let [s1, s2, windowAt] = [this.#s1, this.#s2, this.#windowAt];
    let at = start;
    let isSplit = false;
    while (at < limit && !isSplit) {
      const byte = bytes[at++]!;
      const dropped = window[windowAt]!;
      window[windowAt] = byte;
      windowAt = (windowAt + 1) % WINDOW_SIZE;
      s1 = (s1 + byte - dropped) | 0;
      s2 = (s2 + s1 - WINDOW_SIZE * (dropped + CHAR_OFFSET)) | 0;
      isSplit = (s2 & SPLIT_MASK) === SPLIT_MASK;
    }
    this.#pieceSize += at - start;
    if (isSplit || this.#pieceSize === PIECE_MAX) this.#pieceSize = 0;
    [this.#s1, this.#s2, this.#windowAt] = [s1, s2, windowAt];
    return at;
  }
}

/** Where the zeros end that start at `from`. */
function zerosEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] === 0) at++;
  return at;
}
