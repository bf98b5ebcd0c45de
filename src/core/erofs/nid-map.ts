/**
 * Sets and maps by node number, for readers that visit all of an image.
 *
 * Node numbers are dense: pages of plain numbers take a fifth of the memory of a `Map`, and half of
 * its time. A page is made when a number of it is met, so that a file which only claims to be large
 * costs nothing; all pages together are at most an eighth of the image.
 */

import type { Nid } from "./inode.ts";

/** Node numbers of a page. */
const PAGE_SIZE = 4096;

/** Node numbers that were met. */
export class NidSet {
  readonly #pages: (Uint8Array | undefined)[] = [];

  /** Adds a node number; returns whether it was there before. */
  add(nid: Nid): boolean {
    const page = (this.#pages[Math.floor(nid / PAGE_SIZE)] ??= new Uint8Array(PAGE_SIZE / 8));
    const at = nid % PAGE_SIZE;
    const bit = 1 << (at & 7);
    const before = page[at >> 3]!;
    page[at >> 3] = before | bit;
    return (before & bit) !== 0;
  }
}

/** Values by node number. */
export class NidMap<T> {
  readonly #pages: (Uint32Array | undefined)[] = [];
  /** The pages hold places in here; 0 is the place of what is not there. */
  readonly #values: (T | undefined)[] = [undefined];

  get(nid: Nid): T | undefined {
    const page = this.#pages[Math.floor(nid / PAGE_SIZE)];
    return page === undefined ? undefined : this.#values[page[nid % PAGE_SIZE]!];
  }

  /** Sets the value of a node number that has none yet. */
  add(nid: Nid, value: T): void {
    const page = (this.#pages[Math.floor(nid / PAGE_SIZE)] ??= new Uint32Array(PAGE_SIZE));
    page[nid % PAGE_SIZE] = this.#values.length;
    this.#values.push(value);
  }
}
