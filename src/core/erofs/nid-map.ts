/**
 * A map by node number, for readers that visit all of an image.
 *
 * Node numbers are dense: pages of plain numbers take a fifth of the memory of a `Map`, and half of
 * its time. A page is made when a number of it is met; all pages together are an eighth of the image
 * at most.
 */

import type { Nid } from "./inode.ts";

const PAGE_SIZE = 4096;

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
