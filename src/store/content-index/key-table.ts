/**
 * Where the record of a key is: a hash table over a file that stays on the disk. 16 MiB for a million
 * records, whose keys it holds 64 bits of.
 */

const FIRST_CAPACITY = 1024;

/** Numbers of records by the first 8 bytes of their keys, which are hashes already. */
export class KeyTable {
  /** Number of a record and one, or 0; twice as many places as records. */
  #places = new Uint32Array(2 * FIRST_CAPACITY);
  /** Of the record at each place, the first and the second 32 bits of its key. */
  #first = new Uint32Array(2 * FIRST_CAPACITY);
  #second = new Uint32Array(2 * FIRST_CAPACITY);
  #size = 0;

  /** Adds a record, whose key starts at `at` in `bytes`; a key may come twice. */
  add(bytes: Uint8Array, at: number, record: number): void {
    if (2 * (this.#size + 1) > this.#places.length) this.#grow();
    this.#put(word(bytes, at), word(bytes, at + 4), record);
    this.#size++;
  }

  /** Yields the records whose keys may be this one, in the order in which they were added. */
  *candidates(key: Uint8Array): Generator<number, void> {
    const first = word(key, 0);
    const second = word(key, 4);
    const mask = this.#places.length - 1;
    for (let place = first & mask; this.#places[place] !== 0; place = (place + 1) & mask) {
      if (this.#first[place] === first && this.#second[place] === second) {
        yield this.#places[place]! - 1;
      }
    }
  }

  #put(first: number, second: number, record: number): void {
    const mask = this.#places.length - 1;
    let place = first & mask;
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    this.#places[place] = record + 1;
    this.#first[place] = first;
    this.#second[place] = second;
  }

  #grow(): void {
    const [places, first, second] = [this.#places, this.#first, this.#second];
    this.#places = new Uint32Array(places.length * 2);
    this.#first = new Uint32Array(places.length * 2);
    this.#second = new Uint32Array(places.length * 2);
    for (const [place, number] of places.entries()) {
      if (number !== 0) this.#put(first[place]!, second[place]!, number - 1);
    }
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}
