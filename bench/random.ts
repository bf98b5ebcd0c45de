/** A small generator of pseudo-random numbers: the same seed gives the same tree on every machine. */

/** Returns a function that gives numbers from 0 (inclusive) to 1 (exclusive). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // Weyl sequence through the finaliser of MurmurHash3.
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}
